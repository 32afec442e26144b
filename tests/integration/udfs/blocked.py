"""Called for one tile in place of many; it notes each call in a file."""

from pathlib import Path

import geopandas
import numpy as np
import shapely

from tileserver import udf


@udf(block_zoom=6, maxzoom=24)
def blocked(bounds, z: int, x: int, y: int, log: str, cells: int = 40, gate: str = "") -> geopandas.GeoDataFrame:
    """A grid of cells over the tile that it is called for."""
    with Path(log).open("a") as file:
        file.write(f"{z}/{x}/{y}\n")
    if gate and Path(gate).read_text() == "fail":
        raise ValueError("as was asked")
    west, south, east, north = bounds
    x, y = np.linspace(west, east, cells + 1), np.linspace(south, north, cells + 1)
    left, low = (each.ravel() for each in np.meshgrid(x[:-1], y[:-1]))
    shapes = shapely.box(left, low, left + x[1] - x[0], low + y[1] - y[0])
    return geopandas.GeoDataFrame({"n": np.arange(cells**2)}, geometry=shapes, crs=4326)
