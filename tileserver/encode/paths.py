"""Lines and rings in whole units of a tile: rounded, without what adds nothing to them, rings wound and valid.

The specification of winding and closing: https://github.com/mapbox/vector-tile-spec/tree/master/2.1#434-geometry-types
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver.encode import ragged

Geometries = NDArray[Any]
Integers = NDArray[np.int64]
Coordinates = NDArray[np.float64]

TOLERANCE: Final = 0.2
"""Units: with what rounding adds, nothing is farther than one unit from where it belongs."""
_SAME_AREA: Final = 0.01
"""Square units."""
_LONG: Final = 64
"""Points from which on a path is worth simplifying."""
POLYGON: Final = 3
POLYGONS: Final = (3, 6)
_COLLECTION: Final = 7


class Paths(NamedTuple):
    """Lines, or rings without their closing point, those of one row behind each other."""

    points: NDArray[Any]
    """(points, 2)."""
    lengths: Integers
    """Points of each path."""
    rows: Integers
    """Of the frame, one for each path; ascending."""
    shells: NDArray[np.bool_]
    """Whether a path is the outer ring of a polygon, which its holes follow; of lines all are."""

    def of(self, kept: NDArray[np.bool_]) -> "Paths":
        """Some of the paths."""
        points = self.points[np.repeat(kept, self.lengths)]
        return Paths(points, self.lengths[kept], self.rows[kept], self.shells[kept])


def lines(shapes: Geometries, rows: Integers) -> Paths:
    """Of LineStrings and LinearRings, in their own coordinates."""
    return Paths(shapely.get_coordinates(shapes), shapely.get_num_coordinates(shapes), rows, np.ones(len(rows), bool))


def rings(shapes: Geometries, rows: Integers) -> Paths:
    """Of Polygons, in their own coordinates."""
    counts = shapely.get_num_interior_rings(shapes).astype(np.int64) + 1
    first, holed = ragged.starts(counts), counts > 1
    lengths, shells = np.empty(int(counts.sum()), np.int64), np.zeros(int(counts.sum()), bool)
    lengths[first] = shapely.get_num_coordinates(shapes)
    lengths[ragged.places(first[holed], counts[holed])] = shapely.get_num_coordinates(shapely.get_rings(shapes[holed]))
    shells[first] = True
    kept = np.ones(int(lengths.sum()), bool)
    kept[np.cumsum(lengths) - 1] = False
    points = shapely.get_coordinates(shapes).compress(kept, axis=0)
    return Paths(points, lengths - 1, np.repeat(rows, counts), shells)


def finite(paths: Paths) -> Paths:
    """Without rows in which a coordinate is no number, which nothing mends."""
    good = np.isfinite(paths.points)
    if good.all():
        return paths
    return paths.of(~np.isin(paths.rows, np.repeat(paths.rows, paths.lengths)[~good.all(axis=1)]))


def joined(several: list[Paths]) -> Paths:
    """All of them, by rows."""
    if len(several) == 1:
        return several[0]
    paths = Paths(*map(np.concatenate, zip(*several, strict=True)))
    order = np.argsort(paths.rows, kind="stable")
    points = ragged.chosen(paths.points, paths.lengths, order)
    return Paths(points, paths.lengths[order], paths.rows[order], paths.shells[order])


def quantised_lines(paths: Paths, tolerance: float = TOLERANCE) -> Paths:
    """In whole units; what is one point then is gone."""
    paths = _simplified(_distinct(_whole(paths)), tolerance)
    return paths.of(paths.lengths > 1)


def quantised_rings(
    paths: Paths, tolerance: float, exactly: Callable[[Integers], tuple[Geometries, Integers]]
) -> tuple[Paths, int]:
    """In whole units, valid, outer rings with positive area and holes with negative (y to the south).

    What has no area is gone. Second, how many rows had to be mended: rounding had made them cross themselves, clipping
    had laid edges over each other, or they came so.

    Args:
        exactly: gives of these rows valid areas, clipped but not rounded.
    """
    whole = _wound(_bent(_simplified(_cyclic(_whole(paths)), tolerance)))
    if not len(whole.rows):
        return whole, 0
    broken = _broken(whole)
    if not len(broken):
        return whole, 0
    good = whole.of(~np.isin(whole.rows, broken))
    mended, unsure = _mended(paths.of(np.isin(paths.rows, broken)))
    return joined([good, _rounded(*mended), _rounded(*exactly(unsure))]), len(broken)


def below(rings: Paths, axis: int, sign: int, limit: float) -> Paths:
    """What of each ring has `sign` times its x (0) or y (1) not above that of the limit, which it follows elsewhere."""
    beyond = sign * (rings.points[:, axis] - limit)
    inside = beyond <= 0
    if inside.all():
        return rings
    before = _before(rings)
    beyond_before = sign * (before[:, axis] - limit)
    crosses = inside != (beyond_before <= 0)
    start, end = before[crosses], rings.points[crosses]
    share = beyond_before[crosses] / (beyond_before[crosses] - beyond[crosses])
    met = start + share[:, None] * (end - start)
    met[:, axis] = limit
    pieces = [(each.ravel(), 2 * own.astype(np.int64)) for each, own in ((met, crosses), (rings.points[inside], inside))]
    flat, _ = ragged.interleaved(pieces)
    lengths = ragged.sums(crosses.astype(np.int64) + inside, rings.lengths)
    return rings._replace(points=flat.reshape(-1, 2), lengths=lengths)


def _whole(paths: Paths) -> Paths:
    return paths._replace(points=np.rint(paths.points).astype(np.int64))


def _distinct(paths: Paths) -> Paths:
    """Without points that equal the one before them."""
    which = ragged.owners(paths.lengths)
    points = paths.points
    kept = np.ones(len(points), bool)
    kept[1:] = (points[1:, 0] != points[:-1, 0]) | (points[1:, 1] != points[:-1, 1]) | (which[1:] != which[:-1])
    return _without(paths, kept)


def _without(paths: Paths, kept: NDArray[np.bool_]) -> Paths:
    if kept.all():
        return paths
    return paths._replace(points=paths.points.compress(kept, axis=0), lengths=ragged.sums(kept, paths.lengths))


def _simplified(paths: Paths, tolerance: float) -> Paths:
    """Long paths without the points that are no farther than so many units from a line through others."""
    long = paths.lengths > _LONG
    if not tolerance or not long.any():
        return paths
    some = paths.of(long)
    made = shapely.linestrings(some.points.astype(float), indices=ragged.owners(some.lengths))
    plain = lines(shapely.simplify(made, tolerance, preserve_topology=False), some.rows)
    kept = np.ones(len(paths.points), bool)
    lengths, of = paths.lengths.copy(), ragged.starts(paths.lengths)
    kept[ragged.places(of[long], some.lengths)] = False
    kept[ragged.places(of[long], plain.lengths)] = True  # as many of its places as it has points left
    points = paths.points.copy()
    points[ragged.places(of[long], plain.lengths)] = np.rint(plain.points)
    lengths[long] = plain.lengths
    return paths._replace(points=points[kept], lengths=lengths)


def _bent(paths: Paths) -> Paths:
    """Rings without points on a straight line, of three points and more.

    With an outer ring that has fewer, its holes are gone too.
    """
    while not (bends := _bends(paths)).all():
        paths = _cyclic(_without(paths, bends))
    there = paths.lengths > 2
    there &= there[np.flatnonzero(paths.shells)[np.cumsum(paths.shells) - 1]] if len(there) else there
    return paths.of(there)


def _cyclic(paths: Paths) -> Paths:
    """Rings without points that equal the one before them, the first's being the last."""
    return _without(paths, (paths.points != _before(paths)).any(axis=1))


def _bends(paths: Paths) -> NDArray[np.bool_]:
    """Of each point of a ring, whether the ring turns there; of what is no ring any more, none does."""
    came, goes = paths.points - _before(paths), _after(paths) - paths.points
    return np.asarray(came[:, 0] * goes[:, 1] != came[:, 1] * goes[:, 0])


def _before(paths: Paths) -> Integers:
    """Of each point the one before it on its ring."""
    found = np.roll(paths.points, 1, axis=0)
    ends = np.cumsum(paths.lengths)
    some = paths.lengths > 0
    found[(ends - paths.lengths)[some]] = paths.points[ends[some] - 1]
    return found


def _after(paths: Paths) -> Integers:
    found = np.roll(paths.points, -1, axis=0)
    ends = np.cumsum(paths.lengths)
    some = paths.lengths > 0
    found[ends[some] - 1] = paths.points[(ends - paths.lengths)[some]]
    return found


def _wound(paths: Paths) -> Paths:
    """Rings turned as they should be."""
    return _turned(paths, _twice_areas(paths) > 0)


def _twice_areas(paths: Paths) -> NDArray[Any]:
    """Twice the area of each ring; positive where it turns from x to y."""
    if not len(paths.points):
        return np.zeros(len(paths.rows))
    (x, y), (before_x, before_y) = paths.points.T, _before(paths).T
    return np.add.reduceat(before_x * y - x * before_y, ragged.starts(paths.lengths))


def _turned(paths: Paths, positive: NDArray[np.bool_]) -> Paths:
    wrong = positive != paths.shells
    if not wrong.any():
        return paths
    begins = ragged.starts(paths.lengths)
    at = ragged.places(begins, paths.lengths)
    mirrored = np.repeat(2 * begins + paths.lengths - 1, paths.lengths) - at
    return paths._replace(points=paths.points[np.where(np.repeat(wrong, paths.lengths), mirrored, at)])


def _broken(paths: Paths) -> Integers:
    """The rows whose rings are no valid area: a ring crosses or touches itself or another."""
    made = _linearrings(paths)
    crossed = paths.rows[~shapely.is_valid(made)]
    several = np.zeros(len(made), bool)
    several[1:] = paths.rows[1:] == paths.rows[:-1]
    several[:-1] |= several[1:]
    several &= ~np.isin(paths.rows, crossed)
    shapes, rows = _areas(paths.of(several))
    return np.concatenate([np.unique(crossed), rows[~shapely.is_valid(shapes)]])


def _linearrings(paths: Paths) -> Geometries:
    points = paths.points.astype(np.float64)
    return np.asarray(shapely.linearrings(points, indices=ragged.owners(paths.lengths)))


def _areas(paths: Paths) -> tuple[Geometries, Integers]:
    """Polygons and MultiPolygons of the rings, and the row of each."""
    polygons = shapely.polygons(_linearrings(paths), indices=np.cumsum(paths.shells) - 1)
    rows, which, counts = np.unique(paths.rows[paths.shells], return_inverse=True, return_counts=True)
    if len(rows) == len(polygons):
        return polygons, rows
    several = counts > 1
    shapes = np.empty(len(rows), object)
    single = ~several[which]
    shapes[which[single]] = polygons[single]
    shapely.multipolygons(polygons[~single], indices=which[~single], out=shapes)
    return shapes, rows


def _mended(paths: Paths) -> tuple[tuple[Geometries, Integers], Integers]:
    """Valid areas of rings that are not rounded yet, with the row of each; and the rows for which that cannot be said.

    What is inside of an odd number of rings is area. That is right if clipping alone had broken them, and then all of
    it is as large as what their outer rings have more than their holes.
    """
    paths = _bent(_cyclic(paths))
    shapes, rows = _areas(paths)
    mended = areas(shapely.make_valid(shapes))
    own = np.abs(_twice_areas(paths)) / 2
    expected = np.bincount(np.searchsorted(rows, paths.rows), np.where(paths.shells, own, -own), len(rows))
    sure = np.abs(shapely.area(mended) - expected) < _SAME_AREA
    return (mended[sure], rows[sure]), rows[~sure]


def _rounded(shapes: Geometries, rows: Integers) -> Paths:
    """Rings of valid areas, in whole units, no farther from where they were than rounding moves them."""
    shapes = shapely.set_precision(shapes, 1.0)
    there = ~shapely.is_empty(shapes)
    parts, of = shapely.get_parts(shapes[there], return_index=True)
    return _wound(_bent(_cyclic(_whole(rings(parts, rows[there][of])))))


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
    mixed = shapely.get_type_id(shapes) == _COLLECTION
    for at in np.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(shapes[at]))
        shapes[at] = shapely.union_all(parts[shapely.get_type_id(parts) == POLYGON])
    shapes[~np.isin(shapely.get_type_id(shapes), POLYGONS)] = shapely.Polygon()
    return shapes
