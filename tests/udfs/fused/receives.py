"""Sees what others return, and what it is given."""

import uuid

import geopandas as gpd
import numpy as np


@fused.udf
def udf(area: gpd.GeoDataFrame, ident: uuid.UUID):
    array, bounds = fused.run("kinds", kind="placed")
    return {
        "series": fused.run("kinds", kind="series")["value"].to_dict(),
        "crs": fused.run("kinds", kind="geoseries").crs.to_epsg(),
        "placed": [np.ma.filled(array, -1).tolist(), bounds],
        "nothing": fused.run("kinds", kind="nothing"),
        "area": area.to_crs(4326).total_bounds.round(6).tolist(),
        "ident": type(ident).__name__,
        # a number is no area: all of them fail
        "submitted": fused.submit("palette", [1, 2], ignore_exceptions=True).index.tolist(),
    }
