"""Tiles of the Web Mercator pyramid: addresses, bounds and partitions. No I/O; mercantile does the mathematics."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import mercantile

MAX_ZOOM: Final = 30
"""The deepest zoom that has tiles; beyond it, float64 metres no longer tell neighbouring pixels apart."""

MAX_LATITUDE: Final = 85.0511287798066
"""Degrees: where the Web Mercator square ends."""

ANCHOR_ZOOMS: Final = (0, 4, 8, 12, 16, 20)

_LEAST: Final = 1e-11
"""Degrees: less than any tile's side, more than what floats lose; an edge on a tile's edge does not touch the next."""


class Bounds(NamedTuple):
    """West, south, east, north: degrees (EPSG:4326) or metres (EPSG:3857), as the name that holds it says."""

    west: float
    south: float
    east: float
    north: float


def degrees(west: float, south: float, east: float, north: float) -> Bounds:
    """Bounds that somebody typed; west above east means across the 180th meridian.

    Raises:
        ValueError: a number is no longitude or latitude, or south is above north.
    """
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        shown = ", ".join(map(str, (west, south, east, north)))
        raise ValueError(f"a box is west, south, east, north in degrees, and not {shown}")
    return Bounds(west, south, east, north)


class Partition(NamedTuple):
    """A layer's tiles below one anchor cell: the unit of locality of cache and placement."""

    zoom: int
    x: int
    y: int

    @property
    def name(self) -> str:
        """The anchor zoom in two digits and the cell's quadkey, as `04` + `0231`."""
        return f"{self.zoom:02d}{mercantile.quadkey(self.x, self.y, self.zoom)}"


@dataclass(frozen=True)
class Tile:
    """A tile of the Web Mercator pyramid, valid by construction; y counts from the north.

    Raises:
        ValueError: z above 30 or below 0, or x or y outside 0 to 2**z - 1, or a size that is not positive.
    """

    z: int
    x: int
    y: int
    size: int = field(default=256, kw_only=True)
    """Pixels of the side that the image should have: 256, times the scale of `@2x`."""

    def __post_init__(self) -> None:
        if not 0 <= self.z <= MAX_ZOOM:
            raise ValueError(f"zoom {self.z} is not between 0 and {MAX_ZOOM}")
        if not (0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z):
            raise ValueError(f"tile {self.z}/{self.x}/{self.y} is outside the pyramid")
        if self.size <= 0:
            raise ValueError(f"size {self.size} is not positive")

    @classmethod
    def at(cls, longitude: float, latitude: float, zoom: int) -> "Tile":
        """The tile at `zoom` that contains a place in degrees; latitudes beyond the square's edge take the edge."""
        found = mercantile.tile(longitude, max(min(latitude, MAX_LATITUDE), -MAX_LATITUDE), zoom)
        last = (1 << zoom) - 1
        return cls(zoom, min(max(found.x, 0), last), min(max(found.y, 0), last))

    @cached_property
    def bounds(self) -> Bounds:
        """West, south, east, north in degrees, EPSG:4326."""
        return Bounds(*mercantile.bounds(self.x, self.y, self.z))

    @cached_property
    def bounds_3857(self) -> Bounds:
        """West, south, east, north in metres, EPSG:3857."""
        return Bounds(*mercantile.xy_bounds(self.x, self.y, self.z))

    @property
    def quadkey(self) -> str:
        """One digit from 0 to 3 per zoom level."""
        return str(mercantile.quadkey(self.x, self.y, self.z))

    def ancestor(self, zoom: int) -> "Tile":
        """The tile at `zoom`, not deeper than this one, that contains this one."""
        shift = self.z - zoom
        return Tile(zoom, self.x >> shift, self.y >> shift, size=self.size)

    @property
    def partition(self) -> Partition:
        """The cell two or more zooms above, at a zoom that is a multiple of four."""
        zoom = max(anchor for anchor in ANCHOR_ZOOMS if anchor <= max(self.z - 2, 0))
        return Partition(zoom, self.x >> (self.z - zoom), self.y >> (self.z - zoom))

    def meets(self, bounds: Bounds) -> bool:
        """Whether the tile and `bounds` (degrees) share area. West above east means across the 180th meridian."""
        own = self.bounds
        if own.south >= bounds.north or own.north <= bounds.south:
            return False
        if bounds.west > bounds.east:
            return own.east > bounds.west or own.west < bounds.east
        return own.west < bounds.east and own.east > bounds.west


def covering(bounds: Bounds, zoom: int) -> list[tuple[range, range]]:
    """Columns and rows of the tiles that share area with `bounds` (degrees); two pairs across the 180th meridian.

    No tile is in both. Bounds without area are a line or a place.

    Raises:
        ValueError: south is above north, or the zoom is none.
    """
    if bounds.south > bounds.north:
        raise ValueError(f"bounds are west, south, east, north in degrees, and not {tuple(bounds)}")
    if bounds.west > bounds.east:
        [(eastern, rows)] = covering(bounds._replace(west=-180.0), zoom)
        [(western, _)] = covering(bounds._replace(east=180.0), zoom)
        return [(eastern, rows), (range(max(western.start, eastern.stop), western.stop), rows)]
    first = Tile.at(bounds.west, bounds.north, zoom)
    last = Tile.at(bounds.east - _LEAST, bounds.south + _LEAST, zoom)
    return [(range(first.x, max(first.x, last.x) + 1), range(first.y, max(first.y, last.y) + 1))]


_CURVE: Final = (
    ((0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 0, 2)),
    ((0, 0, 0), (1, 0, 1), (1, 1, 1), (0, 1, 3)),
    ((1, 1, 3), (0, 1, 2), (0, 0, 2), (1, 0, 0)),
    ((1, 1, 2), (1, 0, 3), (0, 0, 3), (0, 1, 1)),
)
"""Of each turn of Hilbert's curve the quarters of a cell in its order (column, row), and the turn inside of each."""


def along_curve(columns: range, rows: range, zoom: int) -> Iterator[Tile]:
    """Tiles of a rectangle along Hilbert's curve: each beside the one before, partition by partition."""

    def visit(x: int, y: int, side: int, turn: int) -> Iterator[Tile]:
        if x + side <= columns.start or x >= columns.stop or y + side <= rows.start or y >= rows.stop:
            return
        if side == 1:
            yield Tile(zoom, x, y)
            return
        half = side // 2
        for column, row, inner in _CURVE[turn]:
            yield from visit(x + column * half, y + row * half, half, inner)

    return visit(0, 0, 1 << zoom, 0)
