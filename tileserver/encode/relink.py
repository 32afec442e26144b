"""Rings that touch themselves or each other, as rounding makes them, linked anew so that they are valid areas.

Where edges lie upon each other both ways there is no area between them, and both go. Around each point the edges then
alternate, one that leaves it and one that comes; each that comes goes on with the one across the inside between them.
That is what polygonizers do, for all rows at once. Edges that cross, or turn the wrong way, are left to others.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from tileserver.encode import paths, ragged
from tileserver.encode.paths import Paths
from tileserver.encode.ragged import Ragged

Integers = NDArray[np.int64]

_LOOKED_AT: Final = 500_000
"""Squares along edges that are looked at for corners at once, about; of a row with twice as many not on long ones."""
_SHORT: Final = 32
"""Units up to which squares along x or y are looked at one by one: of long edges, as along the tile's, are too many."""
_SLOTS: Final = 1 << 18
"""Of a table in which keys have a place by their last bits."""
_NONE: Final = -1


class Edges(NamedTuple):
    """From corner to corner; a ring's follow each other."""

    start: Integers
    """Numbers of corners; those of one row differ from those of another."""
    end: Integers


class Corners(NamedTuple):
    """Where rings turn or touch."""

    points: NDArray[Any]
    rows: Integers


def snapped(rings: Paths) -> tuple[Paths, Integers]:
    """The same areas in whole units, by rings that touch in points at most; and rows whose edges cross, not in these.

    Of areas that came valid it is all. Of others parts of a row that turn against each other take each other away.

    Args:
        rings: not rounded yet, and wound.
    """
    _, first = np.unique(rings.rows, return_index=True)
    before = ways(rings).cumsum()[first]
    groups = np.repeat(before // _LOOKED_AT, np.diff(first, append=len(rings.rows)))
    made, failed = zip(*(_snapped(rings.of(groups == each)) for each in np.unique(groups)), strict=True)
    return paths.joined(list(made)), np.concatenate(failed)


def ways(rings: Paths) -> NDArray[np.int64]:
    """Of each ring how many squares its edges enter, but for long ones along x or y, which need not be looked at."""
    return np.add.reduceat(_squares(_steps(_whole(rings.points), rings.lengths)), ragged.starts(rings.lengths))


def _whole(points: NDArray[np.float64]) -> Integers:
    """Middles of the squares in which they lie, whose lower sides belong to them."""
    return np.floor(points + 0.5).astype(np.int64)


def _steps(corners: Integers, lengths: Integers) -> Integers:
    """To each one's next."""
    return paths.after(corners, lengths) - corners


def _squares(steps: Integers) -> Integers:
    """That an edge enters on its way, if it does not lead to its neighbour, nor far along x or y."""
    count = _along_axes(steps)
    return np.where((count > 1) & ((count <= _SHORT) | (steps[:, 0] != 0) & (steps[:, 1] != 0)), count, 0)


def _along_axes(ways: NDArray[Any]) -> NDArray[Any]:
    """Steps along x and y of each; column by column: ten times faster than a sum of rows."""
    return np.asarray(np.abs(ways[:, 0]) + np.abs(ways[:, 1]))


def _snapped(rings: Paths) -> tuple[Paths, Integers]:
    noded, corners = _noded(rings)
    edges = _without_opposite(Edges(noded.flat, paths.after(noded.flat, noded.lengths)))
    following = _following(edges, corners.points)
    wrong = np.unique(corners.rows[edges.start[following == _NONE]])
    fine = ~np.isin(corners.rows[edges.start], wrong)
    made, lost = _with_their_holes(_rings(_simple(_chained(*_some(edges, following, fine))), corners))
    return made, np.concatenate([wrong, lost])


def _noded(rings: Paths) -> tuple[Ragged, Corners]:
    """Of each ring the numbers of its corners, and these: also where it passes through the square around a row's.

    Hobby 1999, "Practical segment intersection with finite precision output": what did not cross does not then.
    """
    points = _whole(rings.points)
    rows = np.repeat(rings.rows, rings.lengths)
    steps = _steps(points, rings.lengths)
    edges, passed = _passed(rings, points, steps)
    own, others = paths.keys([(points, rows), (passed, rows[edges])])
    numbers, keys = pd.factorize(own)  # by hashes: several times faster than to sort
    first = np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1))
    corners = Corners(points.take(first, axis=0), rows[first])
    met, at = _met(keys, others, paths.after(own, rings.lengths)[edges])
    found = [(edges[met], at), *(_between(axis, points, rows, steps, corners) for axis in (0, 1))]
    edges, at = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((_along_axes(corners.points[at] - points[edges]), edges))
    counts = ragged.sums(np.bincount(edges, minlength=len(points)), rings.lengths)
    noded = Ragged(np.insert(numbers, edges[order] + 1, at[order]), rings.lengths + counts)
    return noded, corners


def _met(corners: Integers, passed: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Places of those passed, by edges with these ends, where is a corner that is not the end; and its number.

    A table says first of nearly all that there is none, in a third of the time.
    """
    there = np.zeros(_SLOTS, bool)
    there[corners & (_SLOTS - 1)] = True
    maybe = np.flatnonzero(there[passed & (_SLOTS - 1)] & (passed != ends))
    at = pd.Index(corners).get_indexer(pd.Index(passed[maybe]))
    return maybe[at >= 0], at[at >= 0]


def _between(
    axis: int, points: Integers, rows: Integers, steps: Integers, corners: Corners
) -> tuple[Integers, Integers]:
    """Long edges along x (0) or y (1), and numbers of their row's corners on them: these follow each other by keys.

    Many edges may lie upon each other, each with all corners of its line on it; long edges of many are left out.
    """
    some = np.flatnonzero((steps[:, 1 - axis] == 0) & (np.abs(steps[:, axis]) > _SHORT))
    if not len(some):
        return some, some
    flipped = slice(None, None, 1 if axis else -1)
    near = np.flatnonzero(np.isin(corners.points[:, 1 - axis], points[some, 1 - axis]))
    starts, ends, keys = paths.keys(
        [
            (points[some][:, flipped], rows[some]),
            ((points[some] + steps[some])[:, flipped], rows[some]),
            (corners.points[near][:, flipped], corners.rows[near]),
        ]
    )
    order = np.argsort(keys)
    begins = np.searchsorted(keys, np.minimum(starts, ends), "right", order)
    counts = _bounded(np.searchsorted(keys, np.maximum(starts, ends), "left", order) - begins)
    return some.repeat(counts), near[order[ragged.places(begins, counts)]]


def _bounded(counts: Integers) -> Integers:
    """What is looked at for each edge; nothing for long edges of many."""
    if counts.sum() <= 2 * _LOOKED_AT:
        return counts
    return np.where(counts > 2 * _LOOKED_AT // len(counts), 0, counts)


def _passed(rings: Paths, corners: Integers, steps: Integers) -> tuple[Integers, Integers]:
    """Of each square that an edge enters the edge and the square's middle; long edges of many are left out."""
    some = np.flatnonzero(_bounded(_squares(steps)))
    ways = paths.after(rings.points, rings.lengths) - rings.points
    looked_at: list[NDArray[Any]] = [each.take(some, axis=0) for each in (rings.points, ways, corners, steps)]
    entered = [_entered(axis, *looked_at) for axis in (0, 1)]
    edges, middles = map(np.concatenate, zip(*entered, strict=True))
    return some[edges], middles


def _entered(
    axis: int, starts: NDArray[np.float64], ways: NDArray[np.float64], corners: Integers, steps: Integers
) -> tuple[Integers, Integers]:
    """Squares entered where x (0) or y (1) is half way between whole numbers; their lower sides belong to squares.

    Near a square's corner one product says, for x and for y, on which side of it an edge passes, or that it hits it.
    """
    counts = np.abs(steps[:, axis])
    edges, nth = ragged.owners(counts), ragged.places(np.zeros_like(counts), counts)
    both_down = ((steps[:, 0] < 0) & (steps[:, 1] < 0)).take(edges)
    half = (0.5 * np.sign(steps[:, axis])).take(edges)
    own, other = ([each[:, at].take(edges) for each in (starts, ways)] for at in (axis, 1 - axis))
    side = corners[:, axis].take(edges) + (2 * nth + 1) * half
    along = side - own[0]
    below = np.floor(other[0] + along / own[1] * other[1])
    beyond = (along * other[1] - (below + 0.5 - other[0]) * own[1]) * half
    middles = np.empty((len(edges), 2), np.int64)
    middles[:, axis] = side + half
    middles[:, 1 - axis] = below + np.where(both_down, beyond > 0, beyond >= 0)
    return edges, middles


def _without_opposite(edges: Edges) -> Edges:
    """Without edges that lie upon each other both ways; of those that do one way, one."""
    long = edges.start != edges.end
    start, end = edges.start[long], edges.end[long]
    shared = _shared(start, end)
    one, other = start[shared], end[shared]
    forward = np.where(one < other, 1, -1)
    which, _ = pd.factorize(np.minimum(one, other) * len(long) + np.maximum(one, other))
    ways = np.bincount(which, forward)
    left = np.flatnonzero(forward * ways[which] > 0)
    if len(left) > np.count_nonzero(ways):
        left = left[np.unique(which[left], return_index=True)[1]]
    kept = np.ones(len(start), bool)
    kept[shared] = False
    kept[shared[left]] = True
    return Edges(start[kept], end[kept])


def _shared(start: Integers, end: Integers) -> Integers:
    """Those of the edges that may lie upon each other: of a corner that several leave, or there and back."""
    often = np.bincount(start) > 1
    leaves = np.zeros(len(often), np.int64)
    leaves[start] = np.arange(len(start))
    return np.flatnonzero(often[start] | often[end] | (end[leaves[end]] == start))


def _following(edges: Edges, points: NDArray[Any]) -> Integers:
    """Of each edge the one that goes on across the inside; none where edges do not alternate around its end."""
    count = len(points)
    leaving, coming = (np.bincount(own, minlength=count) for own in edges)
    following, out = np.full(len(edges.start), _NONE), np.zeros(count, np.int64)
    out[edges.start] = np.arange(len(edges.start))
    plain = ((leaving == 1) & (coming == 1))[edges.end]
    following[plain] = out[edges.end[plain]]
    met = (leaving + coming > 2) & (leaving == coming)
    some = [np.flatnonzero(met[own]) for own in edges]
    steps = points.take(edges.end, axis=0) - points.take(edges.start, axis=0)
    aims = np.concatenate([steps[some[0]], -steps[some[1]]])
    corners = np.concatenate([edges.start[some[0]], edges.end[some[1]]])
    order = np.lexsort((np.arctan2(aims[:, 1], aims[:, 0]), corners))
    numbers, comes = np.concatenate(some)[order], order >= len(some[0])
    _, counts = np.unique(corners, return_counts=True)
    clockwise = paths.before(np.arange(len(order)), counts)
    across = comes & ~comes[clockwise]
    following[numbers[across]] = numbers[clockwise[across]]
    return following


def _some(edges: Edges, following: Integers, kept: NDArray[np.bool_]) -> tuple[Edges, Integers]:
    """Some of the edges, with what follows them, which is kept too."""
    numbers = kept.cumsum() - 1
    return Edges(edges.start[kept], edges.end[kept]), numbers[following[kept]]


def _chained(edges: Edges, following: Integers) -> Ragged:
    """Corners of closed rings, each edge before the one that follows it."""
    if not len(following):
        return Ragged(edges.start, np.empty(0, np.int64))
    ends = np.flatnonzero(following != np.arange(1, len(following) + 1))
    begins = np.concatenate([[0], ends[:-1] + 1])  # what follows an end is a begin
    runs = np.searchsorted(begins, following[ends])
    ring, left = _cycles(runs)
    order = np.lexsort((-left, ring))
    lengths = ends + 1 - begins
    _, first = np.unique(ring[order], return_index=True)
    return Ragged(ragged.chosen(edges.start, lengths, order), np.add.reduceat(lengths[order], first))


def _cycles(following: Integers) -> tuple[Integers, Integers]:
    """Of each item the least of its cycle, and how far it is to the last before that: by doubled steps."""
    least, ahead = np.arange(len(following)), following
    doublings = len(following).bit_length()
    for _ in range(doublings):
        least, ahead = np.minimum(least, least[ahead]), ahead[ahead]
    last = following == least
    ahead, far = np.where(last, np.arange(len(following)), following), (~last).astype(np.int64)
    for _ in range(doublings):
        far, ahead = far + far[ahead], ahead[ahead]
    return least, far


def _simple(rings: Ragged) -> Ragged:
    """Rings that come by a corner twice as several that do not; those with loops that cross each other as they are."""
    owners = ragged.owners(rings.lengths)
    keys = owners * (int(rings.flat.max(initial=0)) + 1) + rings.flat
    order = np.argsort(keys, kind="stable")
    alike = keys[order[1:]] == keys[order[:-1]]
    begins, ends = order[:-1][alike], order[1:][alike]
    opens, closes = (np.bincount(places, minlength=len(keys)) for places in (begins, ends))
    depths = (opens - closes).cumsum()
    crossed = depths[ends] - opens[ends] != depths[begins] - 1
    depths[np.isin(owners, owners[begins[crossed]])] = 0
    order = np.lexsort((depths, owners))
    depths, owners = depths[order], owners[order]
    new = (opens[order] > 0) & (depths > 0)
    new[1:] |= (depths[1:] != depths[:-1]) | (owners[1:] != owners[:-1])
    new[:1] = True
    return Ragged(rings.flat[order], np.diff(np.flatnonzero(new), append=len(new)))


def _rings(links: Ragged, corners: Corners) -> Paths:
    """Those that turn the right way are shells. Of two corners is none: no edge is there both ways."""
    rows = corners.rows[links.flat[ragged.starts(links.lengths)]]
    found = Paths(corners.points.take(links.flat, axis=0), links.lengths, rows, np.ones(len(rows), bool))
    return found._replace(shells=paths.twice_areas(found) > 0)


def _with_their_holes(rings: Paths) -> tuple[Paths, Integers]:
    """By rows, shells before their holes; and rows in which a hole has no shell, which are not there."""
    shells, holes = np.flatnonzero(rings.shells), np.flatnonzero(~rings.shells)
    of = np.arange(len(rings.rows))
    of[holes] = _NONE
    if len(holes):
        found, inside = _around(rings, shells, holes)
        of[found] = inside
    lost = np.unique(rings.rows[of == _NONE])
    kept = ~np.isin(rings.rows, lost)
    order = np.lexsort((~rings.shells, of, rings.rows))
    order = order[kept[order]]
    points = ragged.chosen(rings.points, rings.lengths, order)
    return Paths(points, rings.lengths[order], rings.rows[order], rings.shells[order]), lost


def _around(rings: Paths, shells: Integers, holes: Integers) -> tuple[Integers, Integers]:
    """Holes, and the smallest shell of its row around each. Rows are moved apart, or many could lie at each place."""
    _, apart = np.unique(rings.rows, return_inverse=True)
    points = rings.points.astype(np.float64)
    points[:, 0] += np.repeat(apart * (np.ptp(points[:, 0]) + 1), rings.lengths)
    begins = ragged.starts(rings.lengths)[holes]
    middles = shapely.points((points[begins] + points[begins + 1]) / 2)
    areas = shapely.polygons(paths.linearrings(rings._replace(points=points).of(rings.shells)))
    around, which = shapely.STRtree(middles).query(areas, predicate="contains")
    order = np.lexsort((shapely.area(areas)[around], which))
    found, first = np.unique(which[order], return_index=True)
    return holes[found], shells[around[order][first]]
