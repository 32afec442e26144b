"""Hexagons as vector tiles: a grid that follows the zoom.

A whole number of cells goes around the world, so the grid closes at the 180th meridian. A cell's corners are computed
from its column and row alone: the tiles that share a cell hold the very same geometry, number and attributes.
"""

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver import Tile, udf

WORLD = 40_075_016.685578488
"""Metres around the equator, the width of EPSG:3857."""
CLASSES = np.array(["low", "medium", "high"])


@udf(kind="vector", minzoom=0, maxzoom=20, layer="hexagons", id_column="id")
def hexagons(tile: Tile, across: int = 12) -> gpd.GeoDataFrame:
    """Cells with a number, an address, a value from 0 to 1 and its class.

    across: cells per tile width, 2 to 64.
    """
    around = min(max(across, 2), 64) << tile.z
    columns, rows = cells_of(tile, WORLD / around)
    wrapped = columns % around
    value = values(wrapped / around, rows / around, tile.z + 2)
    return gpd.GeoDataFrame(
        {
            "id": (rows + 2) * around + wrapped,  # below 2**53, which JavaScript can hold; rows may begin at -2
            "cell": [f"{around}/{column}/{row}" for column, row in zip(wrapped, rows, strict=True)],
            "value": value.round(4),
            "class": CLASSES[np.digitize(value, [1 / 3, 2 / 3])],
        },
        geometry=polygons(columns, rows, WORLD / around),
        crs="EPSG:3857",
    )


def cells_of(tile: Tile, width: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the cells that touch the tile or a cell's width around it; rows count from the north."""
    west, south, east, north = tile.bounds_3857
    pitch = width * 3**0.5 / 2
    columns = np.arange(np.floor((west + WORLD / 2) / width) - 2, np.ceil((east + WORLD / 2) / width) + 2)
    rows = np.arange(np.floor((WORLD / 2 - north) / pitch) - 1, np.ceil((WORLD / 2 - south) / pitch) + 2)
    grid = np.meshgrid(columns.astype(np.int64), rows.astype(np.int64))
    return grid[0].ravel(), grid[1].ravel()


def polygons(columns: NDArray[np.int64], rows: NDArray[np.int64], width: float) -> NDArray[np.object_]:
    """The cells, a corner up; odd rows stand half a cell to the east. Corners lie on a lattice of whole numbers."""
    x = (2 * columns + rows % 2)[:, None] + [0, 1, 1, 0, -1, -1]  # half widths
    y = (3 * rows)[:, None] + [-2, -1, 1, 2, 1, -1]  # half radii
    corners = np.stack([x * (width / 2) - WORLD / 2, WORLD / 2 - y * (width / 12**0.5)], axis=-1)
    found: NDArray[np.object_] = shapely.polygons(corners)
    return found


def values(x: NDArray[np.float64], y: NDArray[np.float64], octaves: int) -> NDArray[np.float64]:
    """A smooth field that closes around the world, 0 to 1; its waves grow shorter from octave to octave."""
    turns = [(2**k * x + 0.37 * k, 2**k * y * 0.8 + 0.21 * k) for k in range(octaves)]
    waves = [np.sin(2 * np.pi * across) * np.cos(2 * np.pi * down) for across, down in turns]
    field: NDArray[np.float64] = 0.5 + np.sin(np.sum(waves, axis=0)) / 2
    return field
