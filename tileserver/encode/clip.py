"""Geometry onto a tile: projected, clipped, in units of the tile."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import GeometryType as Type

from tileserver.encode import paths, validity
from tileserver.encode.paths import Paths
from tileserver.tiles import Tile

Geometries = NDArray[Any]
Rows = NDArray[np.int64]
Box = tuple[float, float, float, float]
Projection = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_RADIUS: Final = 6378137.0
"""Metres: of the sphere of EPSG:3857."""
_KNOWN: Final = {"EPSG:4326": 4326, "EPSG:3857": 3857}
"""Systems that need not be looked up."""
_TURNS: Final = ((-360.0, 0.0), (0.0, 0.0), (360.0, 0.0))
_POLE: Final = math.radians(89.9)
"""What is beyond lies here, far from the square and any buffer; the pole itself is infinitely far."""
_MERIDIAN: Final = 180.0 + 1e-6
"""Degrees: what lies beyond it reaches over the 180th meridian; a little less is the noise of a projection."""
_NOTHING: Final = shapely.GeometryCollection()
_NOISE: Final = 1e-6
"""Of a unit: by so much more than the box is taken for near it."""


class Some(NamedTuple):
    """Of a frame's features those that need to be looked at."""

    frame: Any
    rows: Rows | None = None
    """Ascending; None for all."""

    def alone(self) -> Any:
        """As a frame of their own."""
        return self.frame if self.rows is None or len(self.rows) == len(self.frame) else self.frame.iloc[self.rows]


@dataclass(frozen=True, slots=True)
class Near:
    """Features that are known to be near a tile."""

    layers: dict[str, Some]
    named: bool
    """Whether these are layers by their names; else there is one."""


class OnTile(NamedTuple):
    """What of a frame lies on a tile and its buffer, in units of the tile (x to the east, y to the south)."""

    points: NDArray[np.float64]
    """(points, 2)."""
    point_rows: Rows
    """The frame's row of each, ascending."""
    lines: Paths
    rings: Paths
    """Of areas that may not be valid."""


def on_tile(features: Some, tile: Tile, extent: int, buffer: int) -> OnTile:
    """What of the features' geometry lies on the tile plus `buffer` units."""
    box = (-float(buffer), -float(buffer), float(extent + buffer), float(extent + buffer))
    placed, metres = _placed(*features)
    low, high = -buffer - _NOISE, extent + buffer + _NOISE
    units, there = (_of_metres if metres else _of_degrees)(tile, extent, (low, low, high, high))
    whole = _flat(placed, np.arange(len(placed)) if features.rows is None else features.rows)
    if not metres:
        whole = around(*whole)
    shapes, rows, inside = near(*_parts(*whole), there)
    dimensions = shapely.get_dimensions(shapes)
    points, lines, areas = (dimensions == each for each in range(3))
    dots = inside & points
    return OnTile(
        units(shapely.get_coordinates(shapes[dots])),
        rows[dots],
        _lines(shapes[lines], rows[lines], inside[lines], units, box),
        _rings(shapes[areas], rows[areas], inside[areas], units, box),
    )


def cut(shapes: Geometries, tile: Tile, extent: int, buffer: int) -> Geometries:
    """Of each of some geometries in degrees what lies on the tile plus `buffer` units; empty where there is nothing.

    Edges are straight in degrees. What only touches the box with less than its own dimension does not lie there.
    """
    _, box = _of_degrees(tile, extent, (-buffer, -buffer, extent + buffer, extent + buffer))
    pieces, rows, inside = near(*around(shapes, np.arange(len(shapes))), box)
    over = pieces[~inside]
    areal = np.isin(shapely.get_type_id(over), validity.POLYGONS)
    over[areal] = validity.valid(over[areal])
    found = shapely.intersection(over, shapely.box(*box))
    found[areal] = validity.areas(found[areal])
    found[shapely.get_dimensions(found) < shapely.get_dimensions(over)] = _NOTHING
    pieces[~inside] = found
    return _together(pieces, rows, len(shapes))


def _together(pieces: Geometries, rows: Rows, count: int) -> Geometries:
    """One geometry of each row; few have several pieces."""
    found = np.full(count, _NOTHING, object)
    own, first, counts = np.unique(rows, return_index=True, return_counts=True)
    found[own] = pieces[first]
    for row in own[counts > 1]:
        found[row] = shapely.union_all(pieces[rows == row])
    return found


def extents(frame: Any, rows: Rows, tile: Tile, extent: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of rows of a frame the middle of their bounds, in units, and the longer side; not clipped."""
    placed, metres = _placed(frame, rows)
    units, _ = (_of_metres if metres else _of_degrees)(tile, extent, (0, 0, 0, 0))
    own = shapely.bounds(placed)
    one, other = units(own[:, :2]), units(own[:, 2:])
    return (one + other) / 2, np.abs(other - one).max(axis=1)


def reach(frame: Any) -> tuple[NDArray[np.float64], Rows]:
    """Bounds of a frame's points, lines and polygons in the metres of EPSG:3857, and the row of each, ascending.

    What reaches over the 180th meridian is there once more, a turn of the globe away.
    """
    placed, metres = _placed(frame)
    shapes, rows = _flat(placed, np.arange(len(frame)))
    if not metres:
        shapes, rows = around(shapes, rows)
    shapes, rows = _parts(shapes, rows)
    own = shapely.bounds(shapes)
    return own if metres else np.hstack([_metres(own[:, :2]), _metres(own[:, 2:])]), rows


def _placed(frame: Any, rows: Rows | None = None) -> tuple[Geometries, bool]:
    """The geometries of rows, or of all, in degrees or in EPSG:3857's metres that they have; and whether in these."""
    geometry = frame.geometry
    code = 4326 if geometry.crs is None else _KNOWN.get(geometry.crs.srs) or geometry.crs.to_epsg()
    if rows is not None:
        geometry = geometry.array[rows]
    if code not in (3857, 4326):
        geometry = geometry.to_crs(4326)
    return np.asarray(geometry), code == 3857


def _of_metres(tile: Tile, extent: int, box: Box) -> tuple[Projection, Box]:
    """From EPSG:3857 to units, and the box in metres."""
    west, _, east, north = tile.bounds_3857
    step = (east - west) / extent

    def units(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.empty_like(xy)
        found[:, 0] = (xy[:, 0] - west) * (1 / step)
        found[:, 1] = (xy[:, 1] - north) * (-1 / step)
        return found

    left, top, right, bottom = box
    return units, (
        west + left * step,
        north - bottom * step,
        west + right * step,
        north - top * step,
    )


def _of_degrees(tile: Tile, extent: int, box: Box) -> tuple[Projection, Box]:
    """From EPSG:4326 to units, and the box in degrees."""
    of_metres, (west, south, east, north) = _of_metres(tile, extent, box)

    def units(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return of_metres(_metres(xy))

    low, high = (math.degrees(math.atan(math.sinh(metres / _RADIUS))) for metres in (south, north))
    return units, (math.degrees(west / _RADIUS), low, math.degrees(east / _RADIUS), high)


def _metres(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """From EPSG:4326 to EPSG:3857."""
    lon, lat = np.radians(xy.T)
    np.clip(lat, -_POLE, _POLE, out=lat)
    return _RADIUS * np.column_stack([lon, np.arctanh(np.sin(lat))])


def _flat(shapes: Geometries, rows: Rows) -> tuple[Geometries, Rows]:
    """Without None and empty geometries; collections taken apart, one inside the other too."""
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    shapes, rows = shapes[there], rows[there]
    while (mixed := shapely.get_type_id(shapes) == Type.GEOMETRYCOLLECTION).any():
        shapes, rows = _apart(shapes, rows, mixed)
        there = ~shapely.is_empty(shapes)
        shapes, rows = shapes[there], rows[there]
    return shapes, rows


def _parts(shapes: Geometries, rows: Rows) -> tuple[Geometries, Rows]:
    """Points, lines and polygons instead of geometries of several."""
    several = shapely.get_type_id(shapes) >= Type.MULTIPOINT  # and all types behind it
    return _apart(shapes, rows, several) if several.any() else (shapes, rows)


def near(shapes: Geometries, rows: Rows, box: Box) -> tuple[Geometries, Rows, NDArray[np.bool_]]:
    """What meets the box by its bounds, and what of it lies in the box, and needs no clipping."""
    west, south, east, north = shapely.bounds(shapes).T
    meets = (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
    inside = (west >= box[0]) & (east <= box[2]) & (south >= box[1]) & (north <= box[3])
    return shapes[meets], rows[meets], inside[meets]


def _apart(shapes: Geometries, rows: Rows, some: NDArray[np.bool_]) -> tuple[Geometries, Rows]:
    """Some of the geometries replaced by their parts; rows still ascend."""
    parts, of = shapely.get_parts(shapes[some], return_index=True)
    shapes, rows = np.concatenate([shapes[~some], parts]), np.concatenate([rows[~some], rows[some][of]])
    order = np.argsort(rows, kind="stable")
    return shapes[order], rows[order]


def around(shapes: Geometries, rows: Rows) -> tuple[Geometries, Rows]:
    """Geometries in degrees; what reaches over the 180th meridian also a turn of the globe to its west and east."""
    own = shapely.bounds(shapes)
    over = (own[:, 0] < -_MERIDIAN) | (own[:, 2] > _MERIDIAN)
    if not over.any():
        return shapes, rows
    turned = np.stack([shapely.transform(validity.valid(shapes[over]), lambda xy, by=by: xy + by) for by in _TURNS])
    joined = shapely.geometrycollections(turned.T)
    areal = np.isin(shapely.get_type_id(turned[1]), validity.POLYGONS)
    joined[areal] = shapely.union_all(turned[:, areal], axis=0)
    shapes = shapes.copy()
    shapes[over] = joined
    return _flat(shapes, rows)


def _lines(shapes: Geometries, rows: Rows, inside: NDArray[np.bool_], units: Projection, box: Box) -> Paths:
    """What of each line lies in the box, in its own order and direction.

    Args:
        inside: which lie in the box, and need no clipping.
    """
    if not len(rows):
        return paths.NONE
    whole = _projected(paths.lines(shapes[inside], rows[inside]), units)
    if inside.all():
        return whole
    cut = shapely.clip_by_rect(shapely.transform(shapes[~inside], units), *box)
    return paths.joined([whole, paths.lines(*_parts(*_flat(cut, rows[~inside])))])


def _rings(shapes: Geometries, rows: Rows, inside: NDArray[np.bool_], units: Projection, box: Box) -> Paths:
    """What of each polygon's rings lies in the box; where it leaves it, it follows its edge.

    Sutherland and Hodgman 1974, "Reentrant polygon clipping", for all rings at once. It may lay edges over each other.
    """
    if not len(rows):
        return paths.NONE
    whole = _projected(paths.rings(shapes[inside], rows[inside]), units)
    if inside.all():
        return whole
    cut = _projected(paths.rings(shapes[~inside], rows[~inside]), units)
    for axis, sign, limit in ((0, -1, box[0]), (0, 1, box[2]), (1, -1, box[1]), (1, 1, box[3])):
        cut = paths.below(cut, axis, sign, limit)
    return paths.joined([whole, cut])


def _projected(these: Paths, units: Projection) -> Paths:
    these = paths.finite(these)
    return these._replace(points=units(these.points))
