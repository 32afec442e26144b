import time

from tileserver import udf


@udf
def computes(seconds: float = 0.05):
    """Keeps a core busy for so many seconds of it."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return {"seconds": seconds}
