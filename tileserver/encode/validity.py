"""Areas that are valid, as the vector tile specification and every renderer want them."""

from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely import GeometryType as Type

from tileserver.encode import paths, ragged
from tileserver.encode.paths import Paths

Geometries = NDArray[Any]
Integers = NDArray[np.int64]

POLYGONS: Final = (Type.POLYGON, Type.MULTIPOLYGON)
_NO_AREA: Final = shapely.Polygon()
_FORWARD: Final = 1e-3
"""Square units, of the triangle of a side and the centroid twice the area: far above what floating point gets wrong."""
_LONG: Final = 20
"""Points above which a ring is looked through for such that it comes by again."""


def valid(shapes: Geometries) -> Geometries:
    """Areas mended where they are broken."""
    broken = np.flatnonzero(~shapely.is_valid(shapes))
    if len(broken):
        shapes = shapes.copy()
        # by structure: parts that overlap are one area; by linework, GEOS' default, they would be a hole
        mended = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
        shapes[broken] = areas(mended)
    return shapes


def areas(shapes: Geometries) -> Geometries:
    """Without the lines and points that an intersection or a repair leaves where areas only touch."""
    mixed = shapely.get_type_id(shapes) == Type.GEOMETRYCOLLECTION
    for at in np.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(shapes[at]))
        shapes[at] = shapely.union_all(parts[shapely.get_type_id(parts) == Type.POLYGON])
    shapes[~np.isin(shapely.get_type_id(shapes), POLYGONS)] = _NO_AREA
    return shapes


def broken(rings: Paths) -> Integers:
    """The rows whose rings are no valid area: a ring crosses or touches itself or another.

    Args:
        rings: in whole units, and wound.
    """
    several = np.zeros(len(rings.rows), bool)
    several[1:] = rings.rows[1:] == rings.rows[:-1]
    several[:-1] |= several[1:]
    single = rings.of(~several)
    single = single.of(~_go_around(single))
    shapes, rows = paths.polygons(rings.of(several))
    crossed = ~shapely.is_valid(paths.linearrings(single))
    return np.concatenate([single.rows[crossed], rows[~shapely.is_valid(shapes)]])


def touching(rings: Paths) -> Integers:
    """Rows with a long ring that comes by a point again, and is not valid; rounding makes such of much detail.

    It is nearly all that GEOS would say the same of, in a fraction of its time.

    Args:
        rings: in whole units.
    """
    long = rings.of(rings.lengths > _LONG)
    if not len(long.rows):
        return long.rows
    (keys,) = paths.keys([(long.points, ragged.owners(long.lengths))])
    turned = keys == paths.after(paths.after(keys, long.lengths), long.lengths)  # back to where it came from: no area
    again = pd.Series(keys[~turned]).duplicated().to_numpy()
    return np.unique(long.rows.repeat(long.lengths)[~turned][again])


def _go_around(rings: Paths) -> NDArray[np.bool_]:
    """Those that go around their centroid once and never back, as most buildings do: they cannot touch themselves.

    It is a third of the time of asking GEOS, of which the rest remain.
    """
    if not len(rings.rows):
        return np.zeros(0, bool)
    begins = ragged.starts(rings.lengths)
    x, y = rings.points.T.astype(np.float64)
    next_x, next_y = paths.after(x, rings.lengths), paths.after(y, rings.lengths)
    crossed = x * next_y - next_x * y
    areas = 3 * np.add.reduceat(crossed, begins)
    areas[areas == 0] = np.nan  # with which nothing compares
    centres = [np.add.reduceat((one + other) * crossed, begins) / areas for one, other in ((x, next_x), (y, next_y))]
    x, y = (own - np.repeat(centre, rings.lengths) for own, centre in zip((x, y), centres, strict=True))
    forward = x * paths.after(y, rings.lengths) - paths.after(x, rings.lengths) * y > _FORWARD
    above = (y > 0) | ((y == 0) & (x > 0))
    turns = np.add.reduceat((above != paths.after(above, rings.lengths)).view(np.int8), begins)
    return np.asarray(np.logical_and.reduceat(forward, begins) & (turns == 2))


def snapped(rings: Paths) -> tuple[Geometries, Integers]:
    """Valid areas in whole units, and the row of each, of rings that are not rounded yet.

    Inside is what a ring goes around an odd number of times, without the holes of its polygon; polygons of a row that
    overlap are one area.
    """
    shapes, rows = paths.polygons(rings)
    return areas(shapely.set_precision(valid(shapes), 1.0)), rows
