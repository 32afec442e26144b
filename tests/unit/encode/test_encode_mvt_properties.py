"""Vector tiles of all that may be drawn: every one is read by the specification's letter and is the plain clip."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from clips import BOX, all_near, check_geometry, collapses, placed, vanishes
from commands import features
from hypothesis import given, settings
from hypothesis import strategies as st

from tileserver.encode import mvt, quantise
from tileserver.tiles import Tile

HALF = st.integers(-600, 9400).map(lambda twice: twice / 2)
"""Units on, in and around a tile, half of them on the very edge between two whole ones."""
PLACE = HALF | st.floats(-300, 4700).map(lambda units: round(units, 3))
CORNER = st.tuples(PLACE, PLACE)
STEP = st.floats(-4, 4).map(lambda units: round(units, 3))
RING = st.lists(CORNER, min_size=3, max_size=12)
SMALL = st.tuples(CORNER, st.lists(st.tuples(STEP, STEP), min_size=3, max_size=9)).map(
    lambda parts: [(parts[0][0] + x, parts[0][1] + y) for x, y in parts[1]]
)
POLYGON = (RING | SMALL).map(shapely.Polygon)
LINE = (st.lists(CORNER, min_size=2, max_size=12) | SMALL).map(
    lambda corners: shapely.LineString([(x + 4e-4, y + 4e-4) for x, y in corners])
)
"""With no corner midway between two whole places, which the last bit of a float would decide on."""
POINT = CORNER.map(shapely.Point)


def dense(corners, count, reach, waves):
    """Points along edges, that shiver: more than are taken as they are."""
    edges = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    points = np.concatenate([np.linspace(*edge, count, endpoint=False) for edge in edges])
    turns = np.arange(len(points)) * waves
    return points + reach * np.column_stack([np.sin(turns), np.cos(1.3 * turns)])


DENSE = st.builds(
    dense, st.lists(CORNER, min_size=3, max_size=5), st.integers(30, 80), st.floats(0.05, 1), st.floats(0.05, 3)
)


HERE = Tile(5, 17, 11)


@pytest.fixture(params=["ours", "GEOS"], autouse=True, scope="module")
def mending(request):
    """Areas that rounding breaks are made anew by both that can, however few points they have and however far apart."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "ours":
            patch.setattr(quantise, "_FEW", 0)
            patch.setattr(quantise, "_FAR", np.inf)
        yield


def encoded(shapes, tile=HERE):
    """The features of shapes in units of a tile."""
    frame = geopandas.GeoDataFrame(geometry=placed(shapes, tile), crs=3857)
    return features(mvt.encode(frame, tile), "udf")


def areas(shape):
    """What of a shape has an area."""
    parts = shapely.get_parts([shape, *shapely.get_parts(shape)])
    return shapely.union_all(parts[shapely.get_type_id(parts) == 3])


def mended(shape):
    """A shape without self-intersections."""
    return shapely.make_valid(shape, method="structure", keep_collapsed=False)


def check(shapes):
    """Each shape is its plain clip, or too small to be seen."""
    found = {feature.id: feature for feature in encoded(shapes)}
    for row, shape in enumerate(shapes):
        area = areas(mended(shape))
        expected = areas(shapely.intersection(area, shapely.box(*BOX)))
        whole = shapely.GeometryCollection([area, shape.boundary])  # with the slivers that mending loses
        if row in found:
            check_geometry(found[row], expected, whole)
        else:
            assert expected.is_empty or vanishes(expected)


@given(st.lists(POLYGON, min_size=1, max_size=4))
@settings(deadline=None)
def test_polygons(shapes):
    """Polygons, those that cross themselves too, come out valid and within rounding of their clip."""
    check(shapes)


@given(st.lists(RING.map(shapely.Polygon), min_size=2, max_size=4))
@settings(deadline=None)
def test_areas_with_holes_and_parts(shapes):
    """So do areas of several parts with holes."""
    area = mended(shapes[0])
    for other in map(mended, shapes[1:]):
        area = shapely.symmetric_difference(area, other)
    check([shapely.buffer(area, 0)])


@given(st.lists(LINE, min_size=1, max_size=4))
@settings(deadline=None)
def test_lines(shapes):
    """Lines keep every corner but those that fall on the one before; what is one whole point is dropped."""
    found = {feature.id: feature.shape for feature in encoded(shapes)}
    for row, shape in enumerate(shapes):
        clipped = shapely.clip_by_rect(shape, *BOX)
        kept = [part for part in shapely.get_parts(clipped) if shapely.length(part) and not collapses(part)]
        assert (row in found) == bool(kept)
        assert row not in found or (
            all_near(clipped, found[row]) and all_near(found[row], shapely.MultiLineString(kept))
        )


@pytest.mark.slow
@given(st.lists(DENSE.map(shapely.Polygon), min_size=1, max_size=2))
@settings(deadline=None, max_examples=60)
def test_areas_of_many_points(shapes):
    """So do those that are simplified before they are rounded, in pieces or whole, and cross themselves since then."""
    check(shapes)


@pytest.mark.slow
@pytest.mark.timeout(300)  # GEOS takes seconds to draw a unit around some of them, to compare
@given(DENSE.map(shapely.Polygon), DENSE.map(shapely.Polygon))
@settings(deadline=None, max_examples=60)
def test_areas_of_many_points_with_holes(one, other):
    """And with holes and parts."""
    check([shapely.buffer(shapely.symmetric_difference(mended(one), mended(other)), 0)])


@pytest.mark.slow
@given(DENSE.map(shapely.LineString))
@settings(deadline=None)
def test_lines_of_many_points(shape):
    """Lose corners that are out of the way, and stay where they are."""
    clipped = shapely.clip_by_rect(shape, *BOX)
    found = [feature.shape for feature in encoded([shape])]
    long = [part for part in shapely.get_parts(clipped) if np.ptp(shapely.get_coordinates(part), axis=0).max() > 1]
    assert found or not long
    assert not found or (all_near(clipped, found[0]) and all_near(found[0], shapely.MultiLineString(long)))


@given(st.lists(POINT, min_size=1, max_size=9))
def test_points(shapes):
    """A point is at its own place, rounded; those on the buffer's edge are in."""
    found = {feature.id: feature.paths[0][0] for feature in encoded(shapes)}
    for row, shape in enumerate(shapes):
        place = np.array([shape.x, shape.y])
        if (np.abs(place - 2048) < 2112 - 1e-6).all():
            assert (np.abs(found[row] - place) <= 0.5 + 1e-6).all()
        elif (np.abs(place - 2048) > 2112 + 1e-6).any():
            assert row not in found


@given(st.lists(POLYGON | LINE | POINT, max_size=6))
@settings(deadline=None)
def test_collections_are_their_parts(shapes):
    """A collection becomes one feature for each type it has, as its parts would be by themselves.

    What is less than a unit wide may go where areas overlap: they are snapped to whole units together.
    """
    kinds = {"Point": 1, "LineString": 2, "Polygon": 3}
    apart = {each.id: kinds[shapes[each.id].geom_type] for each in encoded(shapes)}
    wide = {kind for row, kind in apart.items() if kind < 3 or not shapes[row].buffer(-1).is_empty}
    together = [each.kind for each in encoded([shapely.GeometryCollection([shapely.GeometryCollection(shapes)])])]
    assert len(together) == len(set(together))
    assert wide <= set(together) <= set(apart.values())


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6))
def test_attributes_come_back(rows):
    """Every value comes back as it was, with its type; None stays away."""
    frame = pd.DataFrame({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, dtype=object)
    frame = geopandas.GeoDataFrame(frame, geometry=[shapely.Point(10, 50)] * len(rows), crs=4326)
    found = features(mvt.encode(frame, Tile(4, 8, 5)), "udf")
    for feature, (a, b) in zip(found, rows, strict=True):
        expected = {key: value for key, value in (("a", a), ("b", b)) if value is not None}
        assert {key: (type(value), value) for key, value in feature.properties.items()} == {
            key: (type(value), value) for key, value in expected.items()
        }


@pytest.mark.parametrize("column", [-170.0, 190.0])
def test_what_reaches_over_the_180th_meridian_is_on_both_sides(column):
    """An area, a line and a point beyond the meridian are where the world goes on, whole where it does not end."""
    shapes = [shapely.box(column - 20, -5, column + 20, 5), shapely.LineString([(column - 20, 0), (column + 20, 0)])]
    frame = geopandas.GeoDataFrame(geometry=[*shapes, shapely.Point(column, 3)], crs=4326)
    west, east = (features(mvt.encode(frame, Tile(3, x, 3)), "udf") for x in (0, 7))
    assert [each.id for each in west] == [0, 1, 2]
    assert [each.id for each in east] == [0, 1]
    left, right = west[0].shape.bounds, east[0].shape.bounds
    assert left[0] == -64
    assert left[2] == pytest.approx(30 / 45 * 4096, abs=1)
    assert right[0] == pytest.approx((180 - 10 - 135) / 45 * 4096, abs=1)
    [[longitude, _]] = west[2].paths[0]
    assert longitude == pytest.approx(10 / 45 * 4096, abs=1)
    around = geopandas.GeoDataFrame(geometry=[shapely.box(0, -5, 360, 5)], crs=4326)
    [globe] = features(mvt.encode(around, Tile(0, 0, 0)), "udf")
    assert globe.shape.is_valid
    assert len(globe.paths) == 1


def test_a_ring_by_itself_is_a_line():
    """A LinearRing is drawn, closed."""
    [found] = encoded([shapely.LinearRing([(10, 10), (90, 10), (90, 90)])])
    assert found.kind == 2
    assert found.paths[0].tolist() == [[10, 10], [90, 10], [90, 90], [10, 10]]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_has_no_number_for_a_coordinate_is_left_out():
    """A polygon with NaN among its corners does not spoil the others."""
    broken = shapely.Polygon([(0, 0), (np.nan, np.nan), (900, 0), (900, 900)])
    assert [each.id for each in encoded([broken, shapely.box(9, 9, 99, 99)])] == [1]


def test_parts_that_overlap_are_one_area():
    """A MultiPolygon with overlapping parts has no hole where they do."""
    [found] = encoded([shapely.MultiPolygon([shapely.box(0, 0, 90, 90), shapely.box(50, 50, 200, 200)])])
    assert found.shape.area == 90**2 + 150**2 - 40**2


def test_the_worlds_edge_has_its_buffer():
    """What goes on to the south of the square fills the buffer, so that no outline is seen along the edge."""
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(-180, -90, 180, 90)], crs=4326)
    for zoom in (0, 5):
        [found] = features(mvt.encode(frame, Tile(zoom, 0, 2**zoom - 1)), "udf")
        assert found.shape.bounds[3] == 4160
