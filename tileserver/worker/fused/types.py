"""Annotations that say in which form a function wants a tile; what each becomes is in `worker.areas`."""

from tileserver.errors import CallError as UdfRuntimeError

__all__ = ["Bbox", "Bounds", "Tile", "TileGDF", "TileXYZ", "UdfRuntimeError", "ViewportGDF"]


class Tile:
    """A GeoDataFrame with the tile's rectangle and x, y, z, EPSG:4326."""


class TileGDF(Tile):
    """The same under its older name."""


class ViewportGDF:
    """A GeoDataFrame with the rectangle alone."""


class TileXYZ:
    """A `mercantile.Tile`."""


class Bounds(list[float]):
    """A list of west, south, east, north in degrees."""


class Bbox:
    """A shapely polygon: the rectangle in degrees."""
