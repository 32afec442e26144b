import fused
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr


@fused.udf
def gives(what: str = "table"):
    """Something of each kind that a function may return."""
    cells = np.arange(24, dtype="uint8").reshape(3, 2, 4)
    grid = {"y": [1.5, 0.5], "x": [0.5, 1.5, 2.5, 3.5]}
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    layer = xr.DataArray(cells[0].astype("float32"), dims=("y", "x"), coords=grid)
    kinds = {
        "table": table,
        "features": gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326),
        "flat": cells[0],
        "bands": cells,
        "floats": cells[0].astype("float32") / 8,
        "bounded": (cells, [0.0, 0.0, 4.0, 2.0]),
        "layer": layer,
        "layers": xr.Dataset({"height": layer}),
        "number": 7,
        "list": [1, "two", None],
        "dict": {"k": [1], "river": "Ob"},
        "text": "a river",
        "parts": {"table": table, "cells": cells[0]},
        "none": None,
    }
    return kinds[what]
