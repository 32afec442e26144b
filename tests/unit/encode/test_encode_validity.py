"""Which rings are no valid area: GEOS' own word, found without asking it of all."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tileserver.encode import paths, quantise, validity
from tileserver.encode.paths import Paths

CORNER = st.tuples(st.integers(-6, 6), st.integers(-6, 6))
RING = st.lists(CORNER, min_size=3, max_size=12)


def drawn(rings, rows, shells):
    """Rings in whole units as they come."""
    lengths = np.array([len(ring) for ring in rings], np.int64)
    points = np.array([corner for ring in rings for corner in ring], np.int32).reshape(-1, 2)
    return Paths(points, lengths, np.array(rows, np.int64), np.array(shells, bool))


def outlines(rings, rows, shells):
    """As they are after rounding; those that have collapsed are gone."""
    return quantise._wound(quantise._bent(quantise._cyclic(drawn(rings, rows, shells))))


@given(st.lists(RING, min_size=1, max_size=5))
def test_what_goes_around_its_middle_is_valid(rings):
    """Never is a ring taken for good that GEOS would not."""
    made = outlines(rings, range(len(rings)), [True] * len(rings))
    assert shapely.is_valid(paths.linearrings(made))[validity._go_around(made)].all()


@pytest.mark.parametrize("corners", [4, 5, 12], ids=["square", "five", "twelve"])
def test_buildings_go_around_their_middle(corners):
    """Turned, and far from the origin; an L as well; what goes around twice does not."""
    turns = [2 * math.pi * at / corners + 0.3 for at in range(corners)]
    ring = [(round(4000 + 30 * math.cos(turn)), round(4000 + 30 * math.sin(turn))) for turn in turns]
    angle = [(0, 0), (20, 0), (20, 10), (10, 10), (10, 20), (0, 20)]
    star = [(0, 20), (12, -16), (-19, 6), (19, 6), (-12, -16)]
    made = outlines([ring, angle, star], range(3), [True] * 3)
    assert validity._go_around(made).tolist() == [True, True, False]


@given(st.lists(st.lists(CORNER, min_size=21, max_size=40), min_size=1, max_size=3))
def test_what_touches_itself_is_not_valid(rings):
    """Of long rings none is taken for broken that GEOS would not."""
    made = outlines(rings, range(len(rings)), [True] * len(rings))
    touching = np.isin(made.rows, validity.touching(made))
    assert not shapely.is_valid(paths.linearrings(made))[touching].any()


def test_rings_that_come_by_a_point_again_touch():
    """Two that meet in a point, drawn in one; not one with an edge that goes out and back, nor those that are short."""
    turns = [2 * math.pi * at / 24 for at in range(24)]
    ring = [(round(40 * math.cos(turn)), round(40 * math.sin(turn))) for turn in turns]
    eight = [*ring, *((80 - x, -y) for x, y in ring)]
    spike = [*ring[:6], (99, 99), *ring[5:]]
    made = drawn([ring, eight, spike, eight[::4]], range(4), [True] * 4)
    assert validity.touching(made).tolist() == [1]


@given(st.lists(st.lists(RING, min_size=1, max_size=3), min_size=1, max_size=4))
def test_broken_rows_are_those_of_geos(polygons):
    """Rows of one ring, and of a shell with holes."""
    rings = [ring for polygon in polygons for ring in polygon]
    rows = [row for row, polygon in enumerate(polygons) for _ in polygon]
    made = outlines(rings, rows, [at == 0 for polygon in polygons for at in range(len(polygon))])
    shapes, own = paths.polygons(made)
    assert set(validity.broken(made).tolist()) == set(own[~shapely.is_valid(shapes)].tolist())
