import time

from tileserver import run, udf


@udf(cache_max_age=0)
def chain(depth: int = 0, seconds: float = 0.0):
    """Calls itself so many times."""
    time.sleep(seconds)
    return [depth, *(run("chain", depth=depth - 1, seconds=seconds) if depth else [])]
