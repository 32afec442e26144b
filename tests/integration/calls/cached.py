from pathlib import Path

from tileserver import run, udf


@udf
def cached(log: str = "", leaf: bool = False, fresh: bool = False):
    """Notes the runs of what it calls."""
    if leaf:
        with Path(log).open("a") as file:
            file.write("run\n")
        return 1
    return [run("cached", log=log, leaf=True, cache_max_age=0 if fresh else None) for _ in range(3)]
