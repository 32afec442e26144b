from tileserver import udf

BUNCH = 1000


@udf
def floods(run: int = 0, lines: int = 30_000, fail: bool = False):
    """Prints three megabytes, or as many lines of a hundred bytes as are asked for; then fails where it shall."""
    for first in range(0, lines, BUNCH):
        print("\n".join(f"{number:09d}" * 11 for number in range(first, first + BUNCH)))
    if fail:
        raise ValueError("as was asked")
    return {"done": True}
