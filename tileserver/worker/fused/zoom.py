"""`fused.estimate_zoom`."""

from typing import Any, Final

import mercantile

from tileserver.tiles import Tile
from tileserver.worker import areas

_DEEPEST: Final = 20
_SLACK: Final = 1e-11
"""Degrees by which a tile's own bounds may be larger than it."""


def estimate_zoom(bounds: Any) -> int:
    """The deepest zoom, 0 to 20, at which a tile is as wide and as high as an area, though it may lie beside it.

    Args:
        bounds: west, south, east, north in degrees, a GeoDataFrame, a geometry, or a tile.
    """
    if isinstance(bounds, (Tile, mercantile.Tile)):
        return int(bounds.z)
    west, south, east, north = areas.frame(bounds).total_bounds
    for zoom in range(_DEEPEST, 0, -1):
        tile = Tile.at((west + east) / 2, (south + north) / 2, zoom).bounds
        if east - west - _SLACK <= tile.east - tile.west and north - south - _SLACK <= tile.north - tile.south:
            return zoom
    return 0
