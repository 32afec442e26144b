"""Areas in whole units by rings linked anew: GEOS says whether they are valid, and where they lie."""

import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tileserver.encode import paths, quantise, relink
from tileserver.encode.paths import Paths
from tileserver.encode.ragged import Ragged

NEAR = math.sqrt(0.5) + 1e-9
"""Units: as far as snapping moves an edge."""
NUMBER = st.floats(-8, 8, allow_subnormal=False).map(lambda value: round(value, 3))
BLOB = st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=12)
THIN = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=6)


def area(blobs, thin, width):
    """A valid one of crossing outlines, of strips that are narrower than a unit, and of holes where they overlap."""
    whole = shapely.union_all([shapely.make_valid(shapely.Polygon(blob)) for blob in blobs])
    strip = shapely.LineString(thin).buffer(width, quad_segs=2)
    made = shapely.symmetric_difference(whole, strip)
    parts = shapely.get_parts(shapely.get_parts(made))
    return shapely.union_all(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


AREA = st.builds(area, st.lists(BLOB, min_size=1, max_size=3), THIN, st.floats(0.05, 1.5))


def snapped(areas):
    """Areas in whole units by their numbers, and the numbers of those that were given up."""
    parts, rows = shapely.get_parts(np.array(areas, object), return_index=True)
    made, failed = relink.snapped(quantise._wound(paths.rings(parts, rows)))
    shapes, of = paths.polygons(quantise._bent(made))
    found = dict(zip(of.tolist(), shapes, strict=True))
    return [found.get(at, shapely.Polygon()) for at in range(len(areas))], failed.tolist()


@given(st.lists(AREA.filter(lambda made: not made.is_empty), min_size=1, max_size=4))
@settings(deadline=None)
def test_valid_areas_stay_valid_and_where_they_are(areas):
    """However much of them rounding lays upon each other; none is given up, and none minds the others."""
    found, failed = snapped(areas)
    assert failed == []
    for one, before in zip(found, areas, strict=True):
        assert one.is_valid
        assert (shapely.get_coordinates(one) == np.rint(shapely.get_coordinates(one))).all()
        assert shapely.difference(shapely.symmetric_difference(one, before), before.boundary.buffer(NEAR)).area < 1e-6
        assert shapely.equals(one, snapped([before])[0][0])


def corners(*rings):
    """A polygon of a shell and holes."""
    return shapely.Polygon(rings[0], rings[1:])


SQUARE = [(0, 0), (8, 0), (8, 8), (0, 8)]
LAKE = [(1, 1), (1, 7), (7, 7), (7, 1)]
ISLAND = [(2.2, 2.1), (6.4, 2.1), (6.4, 5.9), (2.2, 5.9)]
STRIP = [(4, 1.8), (6, 2.2), (6, 2.3), (4, 1.9)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            shapely.union_all([shapely.box(0, 0, 4, 4), corners(STRIP), shapely.box(6, 0, 9, 4)]),
            shapely.union(shapely.box(0, 0, 4, 4), shapely.box(6, 0, 9, 4)),
        ),
        (corners(SQUARE, [(2, 0.3), (4, 4), (6, 3)]), corners(SQUARE, [(2, 0), (4, 4), (6, 3)])),
        (
            corners(SQUARE, [(2, 0.3), (6, 0.3), (4, 4)]),
            corners([(0, 0), (2, 0), (4, 4), (6, 0), (8, 0), (8, 8), (0, 8)]),
        ),
        (
            corners(SQUARE, [(0.3, 4), (4, 7.7), (7.7, 4), (4, 0.3)]),
            shapely.difference(shapely.box(0, 0, 8, 8), corners([(0, 4), (4, 8), (8, 4), (4, 0)])),
        ),
        (corners(SQUARE, [(2, 2), (2.4, 6), (1.9, 6)]), corners(SQUARE)),
        (shapely.union(shapely.box(0, 0, 3.9, 4), shapely.box(4.1, 0, 8, 4)), shapely.box(0, 0, 8, 4)),
        (
            shapely.union(corners(SQUARE, [(2, 2), (2, 6), (6, 6), (6, 2)]), shapely.box(2.3, 3, 5, 5)),
            corners(SQUARE, [(2, 2), (2, 3), (5, 3), (5, 5), (2, 5), (2, 6), (6, 6), (6, 2)]),
        ),
        (
            shapely.union(corners(SQUARE, LAKE), corners(ISLAND, [(3, 2.4), (3, 5), (5, 5)])),
            shapely.union(corners(SQUARE, LAKE), corners([(2, 2), (6, 2), (6, 6), (2, 6)], [(3, 2), (3, 5), (5, 5)])),
        ),
        (
            shapely.union(corners([(0, 0), (2, 2), (0.4, 0.9)]), corners([(0.9, 0.4), (5, 0), (5, 1)])),
            shapely.union(corners([(0, 0), (2, 2), (0, 1)]), corners([(1, 0), (5, 0), (5, 1)])),
        ),
        (
            shapely.union(corners([(0, 0), (2, 2), (0.9, 0.4)]), corners([(0.4, 0.9), (0, 5), (1, 5)])),
            shapely.union(corners([(0, 0), (2, 2), (1, 0)]), corners([(0, 1), (0, 5), (1, 5)])),
        ),
        (shapely.box(0.1, 0.1, 0.4, 8), shapely.Polygon()),
        (
            shapely.MultiPolygon([shapely.box(0.1, 0.1, 0.3, 0.3), corners([(2, 2), (2, 6), (6, 2)])]),
            corners([(2, 2), (2, 6), (6, 2)]),
        ),
    ],
    ids=[
        "two by a strip", "hole at its shell's side", "hole with a side of its shell's", "hole at four sides",
        "hole that closes", "two that become one", "island at its lake's shore", "island in a lake",
        "up by corners of squares", "down by them", "thin", "one that is a point then, and another",
    ],
)  # fmt: skip
def test_what_touches(before, after):
    """Is linked to what it is."""
    (found,), failed = snapped([before])
    assert failed == []
    assert found.is_valid
    assert shapely.equals(found, after)


def test_what_crosses_is_left_to_others():
    """A bow tie, and a hole outside of its shell; not the square between them, nor what is not there any more."""
    bow = corners([(0, 0), (8, 8), (8, 0), (0, 8)])
    astray = corners(SQUARE, [(20, 20), (20, 24), (24, 24)])
    found, failed = snapped([bow, corners(SQUARE), astray, shapely.box(0.1, 0.1, 0.4, 8)])
    assert sorted(failed) == [0, 2]
    assert shapely.equals(found[1], corners(SQUARE))
    assert all(found[at].is_empty for at in (0, 2, 3))


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=20), min_size=1, max_size=3))
def test_rings_are_split_where_they_come_by_twice(rings):
    """None comes by a corner twice then, and each edge is still there; a ring whose loops cross stays as it is."""
    lengths = np.array([len(ring) for ring in rings])
    found = relink._simple(Ragged(np.concatenate(rings), lengths))
    parts = [part.tolist() for part in np.split(found.flat, found.lengths.cumsum()[:-1])]
    assert edges(parts) == edges(rings)
    crossed = [part for part in parts if len(set(part)) < len(part)]
    assert crossed == [ring for ring in rings if crosses(ring)]


def crosses(ring):
    """Whether it comes by one corner, another, that one and the other again."""
    places = itertools.combinations(range(len(ring)), 4)
    return any(ring[a] == ring[c] != ring[b] == ring[d] for a, b, c, d in places)


def edges(rings):
    """Pairs of corners, sorted."""
    return sorted((int(one), int(other)) for ring in rings for one, other in zip(ring, np.roll(ring, -1), strict=True))


def test_long_edges_of_very_many_are_left_to_others(monkeypatch):
    """What a corner lies on unnoticed crosses, and is told so: time and memory have a bound."""
    before = corners([(0, 0), (1000, 1.6), (1000, 8), (550, 0.95), (0, 8)])
    (found,), failed = snapped([before])
    assert (len(shapely.get_parts(found)), failed) == (2, [])
    monkeypatch.setattr(relink, "_LOOKED_AT", 100)
    made = relink.snapped(quantise._wound(paths.rings(np.array([before]), np.array([0]))))[0]
    assert not shapely.is_valid(paths.polygons(made)[0]).all()


@pytest.mark.parametrize("flipped", [False, True])
def test_long_edges_along_an_axis_are_not_looked_along(flipped):
    """However long: a thousand corners of other rings on one are found at once; those of another row do not count.

    The ten units of the hole's edge are, as are the eleven back.
    """
    teeth = [(10 * at + 1 + side, 0.3 + 5 * (side == 1)) for at in range(1000) for side in (2, 1, 0)]
    combs = [corners([(0, 0), (10_003, 0), (10_003, 50), (0, 50)], [(1, 10), (1, 20), (2, 20)])]
    combs.append(
        shapely.MultiPolygon([shapely.box(0, -50, 10_003, -0.3), *shapely.polygons(np.split(np.array(teeth), 1000))])
    )
    if flipped:
        combs = shapely.transform(np.array(combs), lambda points: points[:, ::-1]).tolist()
    parts, rows = shapely.get_parts(np.array(combs, object), return_index=True)
    assert relink.ways(paths.rings(parts, rows)).max() == 10 + 11
    found, failed = snapped(combs)
    assert failed == []
    assert shapely.is_valid(found).all()
    assert shapely.get_num_coordinates(found).tolist() == [9, 5 + 3 * 1000]


def test_edges_upon_each_other_have_a_bound():
    """A thousand strips in one line of squares, of differing ends: two million corners on edges."""
    low = np.linspace(-0.4, 0.4, 1000)
    strips = shapely.box(np.arange(1000), low, 3000 - np.arange(1000), low + 1e-4)
    rings = quantise._wound(paths.rings(strips, np.zeros(1000, np.int64)))
    made, failed = relink.snapped(rings)
    assert (len(made.rows), failed.tolist()) == (0, [])
    noded, _ = relink._noded(rings)
    assert len(noded.flat) <= 4000 + 2 * relink._LOOKED_AT


def test_rows_are_snapped_in_groups(monkeypatch):
    """Of which each has what it would have without: of 300 rows at one place, some with islands in their lakes."""
    random = np.random.default_rng(1)
    areas = []
    for width in random.uniform(0.2, 3, 300):
        ring = shapely.LinearRing(random.uniform(0, 30, (6, 2)))
        parts = shapely.get_parts(shapely.union(ring.buffer(width), ring.centroid.buffer(width)))
        areas.append(shapely.MultiPolygon(list(parts)))
    together = snapped(areas)
    monkeypatch.setattr(relink, "_LOOKED_AT", 2000)
    assert shapely.equals(np.array(snapped(areas)[0]), np.array(together[0])).all()
    assert together[1] == []


def test_loops_in_loops_are_split_at_once():
    """An inlet that rounding closes at 3,000 points: the loops lie in each other, and a round for each took seconds."""
    way = np.arange(6001)
    wide = np.where(way % 2, 1.2, 0.1)
    shore = np.concatenate([np.column_stack([way + 20, 50 + wide]), np.column_stack([way + 20, 50 - wide])[::-1]])
    (found,), failed = snapped(
        [shapely.Polygon([(0, 100), (7000, 100), (7000, 0), (0, 0), (0, 49.9), *shore[::-1], (0, 50.1)])]
    )
    assert failed == []
    assert found.is_valid
    assert len(found.interiors) == 3000


def test_rings_that_come_by_a_corner_often():
    """Within each other and beside each other: 200 holes that all touch a shell's side, and one that touches two."""
    holes = [[(5 * at + 1, 0.2), (5 * at + 2, 4), (5 * at + 3, 4)] for at in range(200)]
    holes.append([(3000, 0.2), (3005, 19.8), (3010, 10)])
    made = Paths(
        np.array([(0, 0), (4000, 0), (4000, 20), (0, 20), *(corner for hole in holes for corner in hole)], float),
        np.array([4] + [3] * 201), np.zeros(202, np.int64), np.arange(202) == 0,
    )  # fmt: skip
    rings, failed = relink.snapped(quantise._wound(made))
    shapes, _ = paths.polygons(quantise._bent(rings))
    assert shapely.is_valid(shapes).all()
    assert (len(shapely.get_parts(shapes)), shapely.get_num_interior_rings(shapely.get_parts(shapes)).sum()) == (2, 200)
    assert failed.tolist() == []
