"""When a feature of a vector tile is its geometry, clipped plainly and rounded.

Rounding moves a corner by half a unit along each axis, so by up to sqrt(1/2) units, and what is left out of a path is
no farther than a fifth from what is left: with a bound of one unit all comparisons are made. No part of a feature is
farther than that from its clip, and no part of the clip that is farther than that from the clip's edge is missing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from commands import Feature, area
from numpy.typing import NDArray
from pyproj import Transformer

from tileserver.tiles import Tile

BOX = (-64.0, -64.0, 4160.0, 4160.0)
QUANTUM = 1.0
"""Units."""


def projected(frame: Any) -> NDArray[Any]:
    """The geometries of a frame in EPSG:3857, mended where they cross themselves, without what is near the poles."""
    shapes = frame.geometry.make_valid().to_numpy()
    if frame.crs.to_epsg() == 3857:
        return np.asarray(shapes)
    polar = np.abs(shapely.bounds(shapes)[:, [1, 3]]).max(axis=1) > 89
    shapes[polar] = shapely.intersection(shapes[polar], shapely.box(-180, -89, 180, 89))
    to_metres = Transformer.from_crs(frame.crs, "EPSG:3857", always_xy=True)
    moved = shapely.transform(shapes, lambda xy: np.column_stack(to_metres.transform(*xy.T)))
    assert np.isfinite(shapely.get_coordinates(moved)).all()
    return np.asarray(moved)


def clipped(metres: NDArray[Any], tile: Tile) -> dict[int, shapely.Geometry]:
    """By row what of geometries in EPSG:3857 lies on a tile and its buffer, in its units, y to the south."""
    west, south, east, north = tile.bounds_3857
    scale, margin = 4096 / (east - west), 64 / 4096 * (east - west)
    box = shapely.box(west - margin, south - margin, east + margin, north + margin)
    near = np.flatnonzero(shapely.intersects(metres, box))
    cut = shapely.intersection(metres[near], box)
    units = shapely.transform(cut, lambda xy: (xy - (west, north)) * (scale, -scale))
    return {int(row): shape for row, shape in zip(near, units, strict=True) if not shape.is_empty}


def placed(shapes: Sequence[shapely.Geometry], tile: Tile) -> NDArray[Any]:
    """Shapes in units of a tile, x to the east and y to the south, in EPSG:3857: where `clipped` takes them from."""
    west, _, east, north = tile.bounds_3857
    step = (east - west) / 4096
    moved: NDArray[Any] = shapely.transform(np.array(shapes, object), lambda xy: xy * (step, -step) + (west, north))
    return moved


def check_geometry(feature: Feature, expected: shapely.Geometry, whole: shapely.Geometry | None = None) -> None:
    """Within rounding of the clip, on the tile and its buffer, and valid as the specification has it.

    Args:
        feature: what was found.
        expected: the clip.
        whole: what was clipped, and its outline, where the clip may have lost slivers.
    """
    found = feature.shape
    corners = shapely.get_coordinates(found)
    assert (corners >= BOX[:2]).all() and (corners <= BOX[2:]).all()
    if feature.kind == 3:
        check_rings(feature)
        assert found.is_valid
        around = shapely.union_all(shapely.buffer(shapely.get_parts(whole or expected), QUANTUM))
        assert around.covers(found), "more than a quantum outside"
        assert not is_gap(expected.buffer(-QUANTUM).difference(found), whole), "a gap of more than a quantum"
    elif feature.kind == 2:
        kept = [part for part in shapely.get_parts(expected) if not collapses(part)]
        assert all_near(expected, found), "more than a quantum away"
        assert all_near(found, shapely.MultiLineString(kept)), "a corner is missing"
    else:
        [[there]], [[here]] = shapely.get_coordinates(expected)[None], shapely.get_coordinates(found)[None]
        assert (np.abs(there - here) <= 0.5 + 1e-6).all()


def is_gap(lacking: shapely.Geometry, whole: shapely.Geometry | None) -> bool:
    """Whether an area is more than rounding makes: of a sliver inside of what was clipped that may be a cut."""
    if lacking.area < 1e-6 or whole is None:
        return lacking.area >= 1e-6
    outline = shapely.get_parts(whole)[-1]
    # not by overlays: GEOS' buffers of closed lines leave out sharp corners
    return bool((shapely.distance(shapely.points(shapely.get_coordinates(lacking)), outline) > QUANTUM + 1e-6).any())


def all_near(expected: shapely.Geometry, found: shapely.Geometry) -> bool:
    """Whether no corner of `found` is farther than rounding from `expected`."""
    shapely.prepare(expected)
    corners = shapely.points(shapely.get_coordinates(found))
    return bool(shapely.dwithin(expected, corners, QUANTUM).all())


def check_rings(feature: Feature) -> None:
    """The first ring and each that begins a polygon have positive area, holes negative; none has none."""
    areas = [area(ring) for ring in feature.paths]
    assert areas[0] > 0
    assert all(areas)


def vanishes(expected: shapely.Geometry) -> bool:
    """Whether a clip is too small for a feature: narrower than rounding moves it, or all of it one whole point."""
    if expected.geom_type in ("Polygon", "MultiPolygon"):
        return bool(expected.buffer(-QUANTUM).is_empty)
    if shapely.get_dimensions(expected) == 0:  # a line or an area that only touches the box, or a point on its edge
        edge = np.abs(shapely.get_coordinates(expected) - 2048) - 2112
        return bool((edge.max(axis=1) > -1e-6).all())
    return all(collapses(part) for part in shapely.get_parts(expected) if shapely.get_dimensions(part) == 1)


def collapses(part: shapely.Geometry) -> bool:
    """Whether all corners of a line fall on one whole point."""
    return len(np.unique(np.rint(shapely.get_coordinates(part)), axis=0)) == 1
