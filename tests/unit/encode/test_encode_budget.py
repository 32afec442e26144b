"""Tiles above their budget: coarser, without the smallest, evenly fewer, and alike where two tiles meet."""

import geopandas
import numpy as np
import pytest
import shapely
from clips import placed
from commands import features

from tileserver.encode import budget, mvt
from tileserver.encode.clip import Some
from tileserver.tiles import Tile

HERE = Tile(6, 33, 21)


def framed(shapes, tile=HERE):
    """Shapes in units of a tile as a frame in metres."""
    return geopandas.GeoDataFrame({"n": np.arange(len(shapes))}, geometry=placed(shapes, tile), crs=3857)


def fitted(frame, limit, tile=HERE):
    """What fits."""
    return budget.encode({"udf": Some(frame)}, tile, limit=limit, buffer=64, id_column=None)


def test_what_fits_is_left_alone():
    """The bytes are those without a budget, and nothing is told."""
    frame = framed([shapely.Point(9, 9), shapely.box(20, 20, 90, 90)])
    found = fitted(frame, 10_000)
    assert found.body == mvt.encode(frame, HERE)
    assert (found.mended, found.dropped) == (0, 0)


def test_lines_become_coarser_before_any_is_dropped():
    """A shivering line loses corners first; it is still where it was, to the units that are said."""
    x = np.arange(0, 4096, 1.0)
    shape = shapely.LineString(np.column_stack([x, 2000 + np.random.default_rng(1).normal(0, 0.7, len(x))]))
    frame = framed([shape])
    whole = len(mvt.encode(frame, HERE))
    found = fitted(frame, whole // 4)
    assert len(found.body) <= whole // 4
    assert found.dropped == 0
    [line] = features(found.body, "udf")
    assert 1 <= found.tolerance <= 4
    assert shapely.hausdorff_distance(line.shape, shape) <= found.tolerance + 1


def test_a_straight_line_is_straight_if_coarse():
    """However many points it has, of which some are left where nothing needs to be coarse."""
    ends = np.array([(17, 40), (4060, 2911)])
    frame = framed([shapely.LineString(np.linspace(*ends, 20_000))])
    [whole] = features(mvt.encode(frame, HERE), "udf")
    found = fitted(frame, 50)
    [line] = features(found.body, "udf")
    assert len(found.body) <= 50
    assert found.dropped == 0
    assert shapely.count_coordinates(line.shape) < 10 < 300 > shapely.count_coordinates(whole.shape)
    assert shapely.hausdorff_distance(line.shape, shapely.LineString(ends)) <= found.tolerance + 1


@pytest.mark.parametrize("of", [shapely.polygons, lambda rings: rings], ids=["areas", "lines"])
def test_small_paths_of_many_points_do_not_collapse(of):
    """When paths get coarse; of those that go for the bytes it is told."""
    turns = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = 1.8 * np.column_stack([np.cos(turns), np.sin(turns)])
    middles = np.random.default_rng(6).uniform(20, 4076, (290, 2)).round()
    frame = framed(of(shapely.linearrings(middles[:, np.newaxis] + ring)))
    found = fitted(frame, len(mvt.encode(frame, HERE)) // 3)
    ids = {each.id for each in features(found.body, "udf")}
    assert len(ids) > 20
    assert found.dropped == 290 - len(ids)


def test_what_collapses_when_coarse_is_told_of_and_never_all():
    """Of scribbles that end where they begin, on four units or less to each side, nothing would be left."""
    random = np.random.default_rng(7)
    steps = random.integers(-2, 3, (290, 100, 2))
    steps[:, -1] = steps[:, 0]
    middles = random.integers(20, 4076, (290, 1, 2))
    scribbles = list(shapely.linestrings(middles + steps))
    for shapes in (scribbles, [*scribbles, shapely.box(9, 90, 2900, 3190)]):
        frame = framed(shapes)
        found = fitted(frame, len(mvt.encode(frame, HERE)) // 20)
        ids = {each.id for each in features(found.body, "udf")}
        assert ids
        assert found.dropped == len(shapes) - len(ids)


def test_the_smallest_areas_go_first():
    """Large areas stay, whichever order they come in."""
    random = np.random.default_rng(2)
    corners = random.uniform(0, 4000, (3000, 2))
    sides = np.where(np.arange(3000) % 10 == 0, 60, 3)
    frame = framed(shapely.box(*corners.T, *(corners + sides[:, None]).T))
    found = fitted(frame, 12_000)
    kept = {each.id for each in features(found.body, "udf")}
    assert kept == set(range(0, 3000, 10))
    assert found.dropped == 2700


def test_points_thin_out_evenly():
    """A crowd and a scatter come closer to each other; no quarter of the tile loses all."""
    random = np.random.default_rng(3)
    crowd, scatter = random.uniform(1000, 1400, (9000, 2)), random.uniform(0, 4096, (900, 2))
    frame = framed(shapely.points(np.concatenate([crowd, scatter])))
    found = fitted(frame, 8_000)
    assert len(found.body) <= 8_000
    ids = np.array([each.id for each in features(found.body, "udf")])
    assert found.dropped == 9900 - len(ids)
    assert (ids < 9000).mean() < 0.5 < 9000 / 9900
    quarters = np.unique(
        shapely.get_coordinates(np.array([frame.geometry[at] for at in ids]))
        > np.array([np.mean(HERE.bounds_3857[0::2]), np.mean(HERE.bounds_3857[1::2])]),
        axis=0,
    )
    assert len(quarters) == 4


def test_neighbours_decide_alike():
    """What lies over the edge of two tiles with the same crowd is in both or in neither."""
    random = np.random.default_rng(4)
    middles = np.concatenate([random.uniform((4050, 0), (4142, 4096), (4000, 2)), random.uniform(0, 4096, (2000, 2))])
    middles = np.concatenate([middles, middles[4000:] + np.array([4096, 0])])
    frame = framed(shapely.box(*(middles - 20).T, *(middles + 20).T))
    kept = [
        {each.id for each in features(fitted(frame, 20_000, tile).body, "udf")}
        for tile in (HERE, Tile(HERE.z, HERE.x + 1, HERE.y))
    ]
    shared = set(np.flatnonzero(np.abs(middles[:, 0] - 4096) < 20 - 1).tolist())
    assert kept[0] & shared
    assert kept[0] & shared == kept[1] & shared


def test_one_that_is_too_large_is_what_is_left():
    """Then the tile is above its budget; who asked for it says so."""
    found = fitted(framed([shapely.Point(1, 1)]), 5)
    assert len(found.body) > 5


@pytest.mark.parametrize("limit", [3_000, 30_000, 300_000])
def test_the_budget_is_kept(limit):
    """And used: a fifth of it at least, where there is more to show."""
    random = np.random.default_rng(5)
    middles = random.uniform(0, 4096, (20_000, 2))
    sides = random.lognormal(1.5, 1, 20_000)[:, None]
    frame = framed(shapely.box(*(middles - sides).T, *(middles + sides).T))
    assert limit / 5 < len(fitted(frame, limit).body) <= limit


@pytest.mark.parametrize("side", [1.5, 3.0, 13.0])
def test_where_all_are_small_some_are_left(side):
    """A tile that is full of small areas is never an empty one: they thin out evenly."""
    x, y = (each.ravel() for each in np.meshgrid(np.arange(0, 4096, 25.6), np.arange(0, 4096, 25.6)))
    frame = framed(shapely.box(x, y, x + side, y + side))
    found = fitted(frame, 50_000)
    assert 10_000 < len(found.body) <= 50_000
    left = [each.shape.centroid for each in features(found.body, "udf")]
    quarters = np.bincount([2 * (point.x > 2048) + (point.y > 2048) for point in left], minlength=4)
    assert found.dropped == len(frame) - len(left)
    assert quarters.min() > 0.8 * quarters.max()
