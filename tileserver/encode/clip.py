"""Geometry onto a tile: projected, clipped, in units of the tile."""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver.tiles import Tile

Geometries = NDArray[Any]
Rows = NDArray[np.int64]

_RADIUS: Final = 6378137.0
"""Metres: of the sphere of EPSG:3857."""
_TURNS: Final = ((-360.0, 0.0), (0.0, 0.0), (360.0, 0.0))
_POLE: Final = 89.0
"""Degrees: from here on a geometry is cut off, far beyond the square and any buffer; the pole is infinitely far."""
_COLLECTION: Final = 7
_POLYGONS: Final = (3, 6)
LINES: Final = (1, 2, 5)
"""The types of lines; a ring by itself is one."""
_MERIDIAN: Final = 180.0 + 1e-6
"""Degrees: what lies beyond it reaches over the 180th meridian; a little less is the noise of a projection."""


def on_tile(frame: Any, tile: Tile, extent: int, buffer: int) -> tuple[Geometries, Rows]:
    """Geometries in units of the tile (x to the east, y to the south), and the frame's row of each, ascending.

    Each is of one type, valid if it is a polygon, and inside the tile plus `buffer`. Polygons have whole coordinates.
    """
    shapes, rows = _flat(frame.geometry.to_numpy(), np.arange(len(frame)))
    if frame.crs is not None and frame.crs.to_epsg() == 3857:
        return _clipped(shapes, rows, tile, extent, buffer)
    if frame.crs is not None and frame.crs.to_epsg() != 4326:
        shapes = frame.geometry.to_crs(4326).to_numpy()
        shapes, rows = _flat(shapes, np.arange(len(frame)))
    shapes, rows = _near(*around(shapes, rows), _degrees(tile, buffer / extent))
    return _clipped(_mercator(_without_poles(shapes)), rows, tile, extent, buffer)


def _flat(shapes: Geometries, rows: Rows) -> tuple[Geometries, Rows]:
    """Without None and empty geometries; collections taken apart, one inside the other too."""
    shapes = shapely.force_2d(shapes)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    shapes, rows = shapes[there], rows[there]
    while (mixed := shapely.get_type_id(shapes) == _COLLECTION).any():
        parts, of = shapely.get_parts(shapes[mixed], return_index=True)
        shapes, rows = np.concatenate([shapes[~mixed], parts]), np.concatenate([rows[~mixed], rows[mixed][of]])
        order = np.argsort(rows, kind="stable")
        shapes, rows = shapes[order], rows[order]
        there = ~shapely.is_empty(shapes)
        shapes, rows = shapes[there], rows[there]
    return shapes, rows


def around(shapes: Geometries, rows: Rows) -> tuple[Geometries, Rows]:
    """Geometries in degrees; what reaches over the 180th meridian also a turn of the globe to its west and east."""
    own = shapely.bounds(shapes)
    over = (own[:, 0] < -_MERIDIAN) | (own[:, 2] > _MERIDIAN)
    if not over.any():
        return shapes, rows
    turned = np.stack([shapely.transform(_valid(shapes[over]), lambda xy, by=by: xy + by) for by in _TURNS])
    joined = shapely.geometrycollections(turned.T)
    areal = np.isin(shapely.get_type_id(turned[1]), _POLYGONS)
    joined[areal] = shapely.union_all(turned[:, areal], axis=0)
    shapes = shapes.copy()
    shapes[over] = joined
    return _flat(shapes, rows)


def _near(shapes: Geometries, rows: Rows, box: tuple[float, float, float, float]) -> tuple[Geometries, Rows]:
    west, south, east, north = box
    own = shapely.bounds(shapes)
    near = (own[:, 0] <= east) & (own[:, 2] >= west) & (own[:, 1] <= north) & (own[:, 3] >= south)
    return shapes[near], rows[near]


def _degrees(tile: Tile, margin: float) -> tuple[float, float, float, float]:
    """The tile's bounds, grown by a share of its side that is never too small at its latitude."""
    west, south, east, north = tile.bounds
    grown = (east - west) * (margin + 1e-6)
    return west - grown, south - grown, east + grown, north + grown


def _without_poles(shapes: Geometries) -> Geometries:
    own = shapely.bounds(shapes)
    beyond = (own[:, 1] < -_POLE) | (own[:, 3] > _POLE)
    if beyond.any():
        shapes = shapes.copy()
        shapes[beyond] = _cut(shapes[beyond], (own[:, 0].min(), -_POLE, own[:, 2].max(), _POLE))
    return shapes


def _mercator(shapes: Geometries) -> Geometries:
    def project(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = np.radians(lonlat.T)
        return np.column_stack([_RADIUS * lon, _RADIUS * np.arctanh(np.sin(lat))])

    return np.asarray(shapely.transform(shapes, project))


def _clipped(shapes: Geometries, rows: Rows, tile: Tile, extent: int, buffer: int) -> tuple[Geometries, Rows]:
    west, south, east, north = tile.bounds_3857
    scale = extent / (east - west), -extent / (north - south)
    shapes = np.asarray(shapely.transform(shapes, lambda xy: (xy - (west, north)) * scale))
    box = (-buffer, -buffer, extent + buffer, extent + buffer)
    shapes, rows = _near(shapes, rows, box)
    areal = np.isin(shapely.get_type_id(shapes), _POLYGONS)
    shapes[areal] = shapely.set_precision(_cut(shapes[areal], box), 1.0)
    shapes[~areal] = _cut(shapes[~areal], box)
    return _flat(shapes, rows)


def _cut(shapes: Geometries, box: tuple[float, float, float, float]) -> Geometries:
    """What of each geometry lies in the box; polygons valid, lines in their own order and direction."""
    shapes = shapes.copy()
    types = shapely.get_type_id(shapes)
    areal, linear, pointed = np.isin(types, _POLYGONS), np.isin(types, LINES), np.isin(types, (0, 4))
    shapes[areal] = _areas(shapely.intersection(_valid(shapes[areal]), shapely.box(*box)))
    shapes[linear] = shapely.clip_by_rect(shapes[linear], *box)
    shapes[pointed] = _points_in(shapes[pointed], box)
    return shapes


def _valid(shapes: Geometries) -> Geometries:
    """Mended where they are broken; empty where a coordinate is no number, which nothing mends."""
    broken = np.flatnonzero(~shapely.is_valid(shapes))
    if len(broken):
        shapes = shapes.copy()
        xy, which = shapely.get_coordinates(shapes[broken], return_index=True)
        shapes[broken[which[~np.isfinite(xy).all(axis=1)]]] = shapely.Polygon()
        # by structure: parts that overlap are one area; by linework, GEOS' default, they would be a hole
        mended = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
        shapes[broken] = _areas(mended)
    return shapes


def _areas(shapes: Geometries) -> Geometries:
    """Without the lines and points that an intersection or a repair leaves where areas only touch."""
    mixed = shapely.get_type_id(shapes) == _COLLECTION
    for at in np.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(shapes[at]))
        shapes[at] = shapely.union_all(parts[shapely.get_type_id(parts) == 3])
    shapes[~np.isin(shapely.get_type_id(shapes), _POLYGONS)] = shapely.Polygon()
    return shapes


def _points_in(shapes: Geometries, box: tuple[float, float, float, float]) -> Geometries:
    """With those on the box's edge."""
    xy, which = shapely.get_coordinates(shapes, return_index=True)
    inside = (xy >= box[:2]).all(axis=1) & (xy <= box[2:]).all(axis=1)
    found = np.full(len(shapes), shapely.MultiPoint(), object)
    if inside.any():
        kept, of = np.unique(which[inside], return_inverse=True)
        found[kept] = shapely.multipoints(shapely.points(xy[inside]), indices=of)
    return found
