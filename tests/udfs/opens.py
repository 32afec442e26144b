import os

from tileserver import udf


@udf(kind="document")
def opens(run: int = 0, count: int = 10_000):
    """Opens many files and closes none."""
    return {"open": len([os.open("/dev/null", os.O_RDONLY) for _ in range(count)])}
