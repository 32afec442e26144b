"""Lines and rings as arrays of points, out of shapely's geometries and back."""

from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver.encode import ragged
from tileserver.encode.ragged import Ragged

Geometries = NDArray[Any]
Integers = NDArray[np.int64]


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
        points = self.points.compress(kept.repeat(self.lengths), axis=0)
        return Paths(points, self.lengths[kept], self.rows[kept], self.shells[kept])


NONE: Final = Paths(np.empty((0, 2)), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))


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
    several = [each for each in several if len(each.rows)] or several[:1]
    if len(several) == 1:
        return several[0]
    paths = Paths(*map(np.concatenate, zip(*several, strict=True)))
    order = np.argsort(paths.rows, kind="stable")
    points = ragged.chosen(paths.points, paths.lengths, order)
    return Paths(points, paths.lengths[order], paths.rows[order], paths.shells[order])


def without(paths: Paths, kept: NDArray[np.bool_]) -> Paths:
    """The paths with some of their points only."""
    if kept.all():
        return paths
    return paths._replace(points=paths.points.compress(kept, axis=0), lengths=ragged.sums(kept, paths.lengths))


def before(points: NDArray[Any], lengths: Integers) -> NDArray[Any]:
    """Of each point the one before it on its ring."""
    found = np.empty_like(points)
    found[1:] = points[:-1]
    first, last = _ends(lengths)
    found[first] = points[last]
    return found


def after(points: NDArray[Any], lengths: Integers) -> NDArray[Any]:
    """Of each point the one behind it on its ring."""
    found = np.empty_like(points)
    found[:-1] = points[1:]
    first, last = _ends(lengths)
    found[last] = points[first]
    return found


def _ends(lengths: Integers) -> tuple[Integers, Integers]:
    """Places of the first and the last point of those that have any."""
    ends = lengths.cumsum()
    some = lengths > 0
    return (ends - lengths)[some], ends[some] - 1


def keys(several: list[tuple[Integers, Integers]]) -> list[Integers]:
    """Of points of rows a number each, the same for the same point of the same row."""
    columns = np.concatenate([points for points, _ in several]).T
    low = [each.min() for each in columns]  # one by one: twenty times faster than along an axis
    size = [each.max() - least + 1 for each, least in zip(columns, low, strict=True)]
    return [(rows * size[0] + points[:, 0] - low[0]) * size[1] + points[:, 1] - low[1] for points, rows in several]


def twice_areas(paths: Paths) -> NDArray[Any]:
    """Twice the area of each ring; positive where it turns from x to y."""
    if not len(paths.points):
        return np.zeros(len(paths.rows))
    x, y = paths.points.T.astype(np.result_type(paths.points, np.int64))
    crossed = before(x, paths.lengths) * y - x * before(y, paths.lengths)
    return np.add.reduceat(crossed, ragged.starts(paths.lengths))


def below(rings: Paths, axis: int, sign: int, limit: float) -> Paths:
    """What of each ring has `sign` times its x (0) or y (1) not above that of the limit, which it follows elsewhere."""
    beyond = sign * (rings.points[:, axis] - limit)
    inside = beyond <= 0
    if inside.all():
        return rings
    previous = before(rings.points, rings.lengths)
    beyond_before = sign * (previous[:, axis] - limit)
    crosses = inside != (beyond_before <= 0)
    start, end = previous[crosses], rings.points[crosses]
    share = beyond_before[crosses] / (beyond_before[crosses] - beyond[crosses])
    met = start + share[:, None] * (end - start)
    met[:, axis] = limit
    pieces = [Ragged(met.ravel(), crosses * 2), Ragged(rings.points[inside].ravel(), inside * 2)]
    flat, _ = ragged.interleaved(pieces)
    lengths = ragged.sums(crosses.astype(np.int64) + inside, rings.lengths)
    return rings._replace(points=flat.reshape(-1, 2), lengths=lengths)


def linearrings(paths: Paths) -> Geometries:
    """Of each ring a LinearRing."""
    points = paths.points.astype(np.float64)
    return np.asarray(shapely.linearrings(points, indices=ragged.owners(paths.lengths)))


def polygons(paths: Paths) -> tuple[Geometries, Integers]:
    """Polygons and MultiPolygons of the rings, and the row of each."""
    made = shapely.polygons(linearrings(paths), indices=np.cumsum(paths.shells) - 1)
    rows, which, counts = np.unique(paths.rows[paths.shells], return_inverse=True, return_counts=True)
    if len(rows) == len(made):
        return made, rows
    several = counts > 1
    shapes = np.empty(len(rows), object)
    single = ~several[which]
    shapes[which[single]] = made[single]
    shapely.multipolygons(made[~single], indices=which[~single], out=shapes)
    return shapes, rows
