"""What was cleared of a UDF's cached tiles: an epoch, and where. A look-up asks; nothing is searched for and deleted.

Varnish's bans do it so (https://varnish-cache.org/docs/trunk/users-guide/purging.html#bans); these have places.
"""

from typing import Final

import msgspec

from tileserver.tiles import MAX_ZOOM, Bounds, Tile, covering, degrees

_SIDE: Final = 1 << MAX_ZOOM
"""Cells of the grid: tiles of the deepest zoom, along each axis."""
_UNITS: Final = 12
"""Bits of a tile's side in the units that margins are given in: 4,096."""
_THIN: Final = 2e-11
"""Degrees: more than what `covering` takes for nothing, and less than a cell."""
Ring = tuple[tuple[float, float], ...]
"""Places in degrees, without the first once more at the end."""


class Ban(msgspec.Struct, frozen=True, array_like=True):
    """Tiles of some zooms whose area meets a place, stored before an epoch."""

    epoch: int
    min_zoom: int
    max_zoom: int
    min_x: int
    max_x: int
    min_y: int
    max_y: int
    """First and last cells of the grid, columns from the west and rows from the north."""
    rings: tuple[Ring, ...] = ()
    """Where only what is inside of an odd number of these counts."""
    arguments: str = ""
    """The digest of a function's arguments, if only what was made with these is meant."""

    def covers(self, z: int, x: int, y: int, margin: int, *, block: bool = False) -> bool:
        """Whether a tile meets the place; a file, whose zoom is -1, where that zoom is meant, too.

        Args:
            margin: by how much the tile's content reaches over its edges, in 4,096ths of its side.
            block: whether tiles of any zoom are made of it.
        """
        if z < 0:
            return self.min_zoom < 0
        if not (block or self.min_zoom <= z <= self.max_zoom):
            return False
        side = MAX_ZOOM - z
        over = (margin << side) >> _UNITS
        if self.max_y < (y << side) - over or self.min_y >= ((y + 1) << side) + over:
            return False
        west, east = (x << side) - over, ((x + 1) << side) + over
        # content beyond the 180th meridian is that of the other side
        return any(
            self.max_x >= west + turn and self.min_x < east + turn and self._inside(z, x, y, margin, turn)
            for turn in (0, -_SIDE, _SIDE)
        )

    def _inside(self, z: int, x: int, y: int, margin: int, turn: int) -> bool:
        if not self.rings:
            return True
        west, south, east, north = Tile(z, x, y).bounds
        width, height = ((far - near) * margin / (1 << _UNITS) for near, far in ((west, east), (south, north)))
        aside = turn // _SIDE * 360.0
        return _meets(self.rings, Bounds(west - width + aside, south - height, east + width + aside, north + height))


class Bans(msgspec.Struct, frozen=True):
    """All that was cleared of a UDF."""

    epoch: int = 0
    """Of the last clearing."""
    floor: int = 0
    """Of the last that cleared everything."""
    areas: tuple[Ban, ...] = ()
    """Behind it, the newest first."""

    def cleared(
        self, epoch: int, z: int, x: int, y: int, margin: int, *, block: bool = False, arguments: str = ""
    ) -> bool:
        """Whether what was made in an epoch, with arguments of that digest, was cleared since; see `Ban.covers`."""
        if epoch >= self.epoch:
            return False
        if epoch < self.floor:
            return True
        for ban in self.areas:
            if ban.epoch <= epoch:
                return False
            if ban.arguments in ("", arguments) and ban.covers(z, x, y, margin, block=block):
                return True
        return False


def of_bounds(bounds: Bounds, zooms: range) -> list[Ban]:
    """Bans of an epoch to come, of tiles that share area with bounds in degrees; without area it is a line or a place.

    West above east means across the 180th meridian.

    Raises:
        ValueError: a number is no longitude or latitude, or south is above north.
    """
    place = degrees(*bounds)
    rows = place._replace(south=place.south - _THIN) if place.south == place.north else place
    return [
        Ban(0, zooms.start, zooms.stop - 1, columns.start, columns.stop - 1, lines.start, lines.stop - 1)
        for columns, lines in covering(rows, MAX_ZOOM)
        if len(columns)
    ]


def of_polygon(rings: list[Ring], zooms: range) -> list[Ban]:
    """Bans of an epoch to come, of tiles that share area with a polygon in degrees, its holes left out.

    Its edges are straight in degrees, and it does not reach over the 180th meridian (RFC 7946, section 3.1.9).

    Raises:
        ValueError: a number is no longitude or latitude, or a ring has fewer than three places.
    """
    if not rings or any(len(ring) < 3 for ring in rings):
        raise ValueError("a polygon's rings have three places or more")
    longitudes, latitudes = zip(*(place for ring in rings for place in ring), strict=True)
    if not all(-180 <= each <= 180 for each in longitudes) or not all(-90 <= each <= 90 for each in latitudes):
        raise ValueError("an area's places are longitudes from -180 to 180 and latitudes from -90 to 90")
    around = Bounds(min(longitudes), min(latitudes), max(longitudes), max(latitudes))
    return [msgspec.structs.replace(ban, rings=tuple(rings)) for ban in of_bounds(around, zooms)]


def of_tile(tile: Tile) -> Ban:
    """A ban of an epoch to come, of this tile alone."""
    side = MAX_ZOOM - tile.z
    first_x, first_y, last = tile.x << side, tile.y << side, (1 << side) - 1
    return Ban(0, tile.z, tile.z, first_x, first_x + last, first_y, first_y + last)


def _meets(rings: tuple[Ring, ...], box: Bounds) -> bool:
    """Whether a polygon and a box share area: an edge runs through the box, or all of the box is inside."""
    middle = ((box.west + box.east) / 2, (box.south + box.north) / 2)
    inside = False
    for ring in rings:
        for one, other in zip(ring, (*ring[1:], ring[0]), strict=True):
            if _runs_through(one, other, box):
                return True
            inside ^= _is_left_of(middle, one, other)
    return inside


def _is_left_of(place: tuple[float, float], one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a ray from the place to the east meets the edge."""
    (x, y), (from_x, from_y), (to_x, to_y) = place, one, other
    return (from_y > y) != (to_y > y) and x < from_x + (y - from_y) / (to_y - from_y) * (to_x - from_x)


def _runs_through(one: tuple[float, float], other: tuple[float, float], box: Bounds) -> bool:
    """Whether a part of the edge lies inside of the box, not only on its sides (Liang and Barsky 1984)."""
    enters, leaves = 0.0, 1.0
    for start, end, low, high in ((one[0], other[0], box.west, box.east), (one[1], other[1], box.south, box.north)):
        way = end - start
        if way == 0:
            if not low < start < high:
                return False
            continue
        near, far = sorted(((low - start) / way, (high - start) / way))
        enters, leaves = max(enters, near), min(leaves, far)
    return enters < leaves
