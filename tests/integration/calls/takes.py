import numpy as np

from tileserver import CallError, Tile, run, udf


@udf(cache_max_age=0)
def takes():
    """Says of each result of another function what it got."""
    told = {}
    for what in ("data", "array", "masked", "frame", "features", "table", "bytes", "none", "number"):
        told[what] = run("gives", what=what)
    assert told["array"].dtype == np.int16
    features = told["features"]
    return {
        "data": told["data"],
        "array": told["array"].tolist(),
        "masked": told["masked"].tolist(),
        "frame": [told["frame"].index.tolist(), told["frame"].n.tolist(), str(told["frame"].when.iloc[1])],
        "features": [features.geometry.name, features.crs.to_epsg(), features.other.crs.to_epsg(), features.index[0]],
        "table": [type(told["table"]).__name__, told["table"]["a"].to_pylist()],
        "bytes": len(told["bytes"]),
        "none": told["none"],
        "number": told["number"],
        "tile": run("gives", tile=Tile(3, 1, 2, size=512)),
        "tuple": run("gives", tile=(3, 1, 2)),
        "errors": [said("absent"), said("gives", what="odd"), said("gives", thing=1), said("gives", tile=(1, 5, 5))],
    }


def said(name, **arguments):
    """The code and the words of a call that fails."""
    try:
        return run(name, **arguments)
    except CallError as error:
        return [error.cause, str(error)]
