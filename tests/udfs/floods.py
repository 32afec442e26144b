from tileserver import udf


@udf
def floods():
    """Prints three megabytes."""
    for number in range(30_000):
        print(f"{number:09d}" * 11)
    return {"done": True}
