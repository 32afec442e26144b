import time

from tileserver import cache, functioncache, udf


@cache
def when():
    return time.time_ns()


@udf(cache_max_age=0)
def keeps():
    folder = functioncache.place().folder
    try:
        others = [each.name for each in folder.parent.iterdir()]
    except OSError:
        others = None
    try:
        (folder.parent / "other").mkdir()
        made = True
    except OSError:
        made = False
    return {"when": when(), "kept": len(list(folder.iterdir())), "others": others, "made": made}
