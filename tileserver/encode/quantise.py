"""What lies on a tile in its whole units: rounded, without what adds nothing to it, rings wound and valid.

The specification of winding and closing: https://github.com/mapbox/vector-tile-spec/tree/master/2.1#434-geometry-types
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver.encode import paths, ragged, relink, validity
from tileserver.encode.clip import OnTile
from tileserver.encode.paths import Paths
from tileserver.encode.ragged import Ragged

Geometries = NDArray[Any]
Integers = NDArray[np.int64]

TOLERANCE: Final = 0.2
"""Units: with what rounding adds, nothing is farther than one unit from where it belongs."""
_LONG: Final = 64
"""Points from which on a path is worth simplifying."""
_PIECE: Final = 128
"""Points that are simplified together, at least, if the path has them."""

_FEW: Final = 1000
"""Points of all areas that are not valid, from which on it is worth it to link rings anew."""
_FAR: Final = 32
"""Units between neighbouring points, on average, up to which it is."""


class Shapes(NamedTuple):
    """Points, lines and rings in whole units."""

    points: Integers
    """(points, 2)."""
    point_rows: Integers
    """The frame's row of each, ascending."""
    lines: Paths
    rings: Paths
    """Valid; outer rings have positive area (y to the south), holes negative."""
    mended: int
    """Rows whose areas were not valid: rounding had made them cross themselves, clipping had laid edges over each
    other, or they came so."""

    def rows(self) -> Integers:
        """Of the frame, ascending, those that have something here."""
        return np.unique(np.concatenate([self.point_rows, self.lines.rows, self.rings.rows]))

    def of(self, kept: NDArray[np.bool_]) -> "Shapes":
        """Those of some of the frame's rows."""
        there = kept[self.point_rows]
        lines, rings = (each.of(kept[each.rows]) for each in (self.lines, self.rings))
        return Shapes(self.points[there], self.point_rows[there], lines, rings, self.mended)


def shapes(found: OnTile, tolerance: float = TOLERANCE) -> Shapes:
    """What lies on a tile; what has no extent then is gone.

    Args:
        found: what lies there before rounding.
        tolerance: units that a path may be moved by to have fewer points.
    """
    rings, mended = _rings(found.rings, tolerance)
    return Shapes(_whole(found.points), found.point_rows, _lines(found.lines, tolerance), rings, mended)


def _lines(lines: Paths, tolerance: float) -> Paths:
    if not len(lines.rows):
        return paths.NONE
    rounded = _turning(_distinct(_rounded(_simple(lines, tolerance))))
    return rounded.of(rounded.lengths > 1)


def _rings(clipped: Paths, tolerance: float) -> tuple[Paths, int]:
    """Rings that are valid, and how many rows had to be mended for that."""
    if not len(clipped.rows):
        return paths.NONE, 0
    simple = _simple(clipped, tolerance)
    rounded = _cyclic(_rounded(simple))
    touching = validity.touching(rounded)
    rings = _wound(_bent(rounded.of(~np.isin(rounded.rows, touching))))
    broken = np.concatenate([touching, validity.broken(rings)])
    if not len(broken):
        return rings, 0
    good = rings.of(~np.isin(rings.rows, broken))
    bad = simple.of(np.isin(simple.rows, broken))
    return paths.joined([good, *_mended(bad, clipped if tolerance <= TOLERANCE else None)]), len(broken)


def _mended(bad: Paths, whole: Paths | None) -> Iterator[Paths]:
    """Valid rings of rows that are not when they are only rounded.

    Args:
        bad: their rings, perhaps simplified.
        whole: all rings as they were before that, taken where they cross since then; None to take none.
    """
    simple = _bent(_cyclic(bad))
    left = _for_geos(simple)
    rings, failed = _snapped(simple.of(~np.isin(simple.rows, left)))
    yield rings
    left = np.concatenate([left, failed])
    if len(failed) and whole is not None:
        again = np.intersect1d(failed, whole.rows[whole.lengths > _LONG])
        rings, failed = _snapped(_bent(_cyclic(whole.of(np.isin(whole.rows, again)))))
        yield rings
        left = np.concatenate([np.setdiff1d(left, again), failed])
    if len(left):
        yield _outlines(*validity.snapped(simple.of(np.isin(simple.rows, left))))


def _for_geos(rings: Paths) -> Integers:
    """Rows that GEOS is the faster to make valid: where there are few points, and of long edges with few."""
    rows, which = np.unique(rings.rows, return_inverse=True)
    if len(rings.points) < _FEW:
        return rows
    return rows[np.bincount(which, relink.ways(rings)) > _FAR * np.bincount(which, rings.lengths)]


def _snapped(bad: Paths) -> tuple[Paths, Integers]:
    """Valid rings, and the rows of which there are none since edges cross."""
    if not len(bad.rows):
        return bad, bad.rows
    rings, crossed = relink.snapped(_wound(bad))
    rings = _bent(rings)
    failed = np.concatenate([crossed, validity.broken(rings)])
    return rings.of(~np.isin(rings.rows, failed)), failed


def _outlines(shapes: Geometries, rows: Integers) -> Paths:
    """Rings of areas in whole units."""
    there = ~shapely.is_empty(shapes)
    parts, of = shapely.get_parts(shapes[there], return_index=True)
    return _wound(_bent(_cyclic(_rounded(paths.rings(parts, rows[there][of])))))


def _rounded(these: Paths) -> Paths:
    return these._replace(points=_whole(these.points))


def _whole(points: NDArray[np.float64]) -> Integers:
    return np.rint(points).astype(np.int32)


def _distinct(these: Paths) -> Paths:
    """Without points that equal the one before them."""
    (x, y), kept = these.points.T, np.ones(len(these.points), bool)
    kept[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    kept[ragged.starts(these.lengths)[these.lengths > 0]] = True
    return paths.without(these, kept)


def _turning(these: Paths) -> Paths:
    """Lines without points at which they go straight on."""
    x, y = np.diff(these.points.astype(np.int64), axis=0).T
    kept = np.ones(len(these.points), bool)
    kept[1:-1] = (x[:-1] * y[1:] != y[:-1] * x[1:]) | (x[:-1] * x[1:] + y[:-1] * y[1:] < 0)
    begins, there = ragged.starts(these.lengths), these.lengths > 0
    kept[begins[there]] = kept[(begins + these.lengths - 1)[there]] = True
    return paths.without(these, kept)


def _simple(clipped: Paths, tolerance: float) -> Paths:
    """Long paths simplified before they are rounded: what is rounded goes in stairs, of which much would stay.

    By more than that once they are rounded: small ones have few points then, and are not among those that collapse.
    """
    fine = _simplified(clipped, min(tolerance, TOLERANCE))
    return fine if tolerance <= TOLERANCE else _simplified(_distinct(_rounded(fine)), tolerance)


def _simplified(these: Paths, tolerance: float) -> Paths:
    """Long paths without the points that are no farther than so many units from a line through others."""
    many = these.lengths > _LONG
    if not tolerance or not many.any():
        return these
    long = many.repeat(these.lengths)
    pieces, first = _pieces(these.lengths[many])
    made = shapely.linestrings(these.points.compress(long, axis=0), indices=ragged.owners(pieces))
    plain = shapely.simplify(made, tolerance, preserve_topology=False)
    lengths = these.lengths.copy()
    lengths[many] = np.add.reduceat(shapely.get_num_coordinates(plain), first)
    short = these.points.compress(~long, axis=0)
    each = ((shapely.get_coordinates(plain), lengths * many), (short, lengths * ~many))
    flat, _ = ragged.interleaved([Ragged(points.ravel(), 2 * own) for points, own in each])
    return these._replace(points=flat.reshape(-1, 2), lengths=lengths)


def _pieces(lengths: Integers) -> tuple[Integers, Integers]:
    """Points of the pieces of paths, and each path's first: simplifying a path takes longer than doing its halves."""
    counts = np.maximum(lengths // _PIECE, 1)
    first = ragged.starts(counts)
    pieces = np.full(counts.sum(), _PIECE)
    pieces[first] += lengths - counts * _PIECE
    return pieces, first


def _bent(these: Paths) -> Paths:
    """Rings without points on a straight line, of three points and more.

    With an outer ring that has fewer, its holes are gone too.
    """
    while not (bends := _bends(these)).all():
        these = _cyclic(paths.without(these, bends))
    there = these.lengths > 2
    there &= there[np.flatnonzero(these.shells)[np.cumsum(these.shells) - 1]] if len(there) else there
    return these.of(there)


def _cyclic(these: Paths) -> Paths:
    """Rings without points that equal the one before them, the first's being the last."""
    moved = these.points != paths.before(these.points, these.lengths)
    return paths.without(these, moved[:, 0] | moved[:, 1])


def _bends(these: Paths) -> NDArray[np.bool_]:
    """Of each point of a ring, whether the ring turns there; of what is no ring any more, none does."""
    came = these.points - paths.before(these.points, these.lengths)
    came = came.astype(np.result_type(came, np.int64))  # whose products do not fit otherwise
    goes = paths.after(came, these.lengths)
    return np.asarray(came[:, 0] * goes[:, 1] != came[:, 1] * goes[:, 0])


def _wound(these: Paths) -> Paths:
    """Rings turned as they should be."""
    return _turned(these, paths.twice_areas(these) > 0)


def _turned(these: Paths, positive: NDArray[np.bool_]) -> Paths:
    wrong = positive != these.shells
    if not wrong.any():
        return these
    begins = ragged.starts(these.lengths)
    at = ragged.places(begins, these.lengths)
    mirrored = np.repeat(2 * begins + these.lengths - 1, these.lengths) - at
    return these._replace(points=these.points.take(np.where(np.repeat(wrong, these.lengths), mirrored, at), axis=0))
