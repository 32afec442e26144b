from tileserver import udf

STEP = 50 * 10**6


@udf
def devours(run: int = 0, size: int = 10 * 10**9):
    """Takes more memory than it may, and writes into all of it."""
    taken = []
    while len(taken) * STEP < size:
        taken.append(b"x" * STEP)
    return {"taken": len(taken) * STEP}
