"""Clearing by place, against the plain geometry of tiles."""

import random

import mercantile
import msgspec
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tileserver.bans import Ban, Bans, of_bounds, of_polygon, of_tile
from tileserver.tiles import Bounds, Tile

LONGITUDE, LATITUDE = st.floats(-180, 180), st.floats(-90, 90)
ALL = range(31)
SLACK = 1e-6
"""Degrees: three cells of the grid; nearer to a tile's side than that, either is right."""


def bans(areas):
    """What was cleared in epoch 1."""
    return Bans(epoch=1, areas=tuple(msgspec.structs.replace(each, epoch=1) for each in areas))


def pieces(bounds):
    """One or two boxes without a turn."""
    west, south, east, north = bounds
    return [(west, south, east, north)] if west <= east else [(west, south, 180, north), (-180, south, east, north)]


def meets(tile, boxes, grown):
    """Whether a tile and boxes share area, each side of the tile farther out by so many degrees, around the globe."""
    own = mercantile.bounds(tile.x, tile.y, tile.z)
    if tile.y == 0:
        own = own._replace(north=90)
    if tile.y == (1 << tile.z) - 1:
        own = own._replace(south=-90)
    return any(
        west < own.east + grown + turn and east > own.west - grown + turn
        and south < own.north + grown and north > own.south - grown
        for west, south, east, north in boxes
        for turn in (-360, 0, 360)
    )  # fmt: skip


def test_twenty_thousand_boxes_against_their_geometry():
    """None that shares area is served, none that does not is cleared."""
    draw = random.Random(5)
    seen = {True: 0, False: 0}
    for _ in range(20_000):
        west, east = draw.uniform(-180, 180), draw.uniform(-180, 180)
        south, north = sorted((draw.uniform(-90, 90), draw.uniform(-90, 90)))
        if draw.random() < 0.6:
            east, north = min(west + draw.expovariate(3), 180), min(south + draw.expovariate(3), 90)
        zooms = range(draw.randrange(20), draw.randrange(20, 31))
        z = draw.randrange(23)
        near = draw.choice([(west, north), (east, south), (draw.uniform(-180, 180), draw.uniform(-85, 85))])
        tile = Tile.at(*near, z)
        cleared = bans(of_bounds(Bounds(west, south, east, north), zooms)).cleared(0, tile.z, tile.x, tile.y, 0)
        boxes = pieces((west, south, east, north))
        if z not in zooms:
            assert not cleared
        elif meets(tile, boxes, SLACK) == meets(tile, boxes, -SLACK):
            assert cleared == meets(tile, boxes, 0)
            seen[cleared] += 1
    assert min(seen.values()) > 2000


@given(LONGITUDE, LATITUDE, st.integers(0, 30))
def test_a_place_clears_the_tile_it_lies_in(longitude, latitude, z):
    """And its ancestors; not the tile's neighbours."""
    cleared = bans(of_bounds(Bounds(longitude, latitude, longitude, latitude), ALL))
    tile = Tile.at(longitude, latitude, 30).ancestor(z)
    assert cleared.cleared(0, tile.z, tile.x, tile.y, 0)
    beside = Tile(z, tile.x ^ 1, tile.y) if z else None
    assert beside is None or not cleared.cleared(0, beside.z, beside.x, beside.y, 0)


@given(st.integers(0, 30), st.data())
def test_a_tile_clears_itself_alone(z, data):
    """No parent, no child, no neighbour."""
    x, y = (data.draw(st.integers(0, (1 << z) - 1)) for _ in range(2))
    cleared = bans([of_tile(Tile(z, x, y))])
    assert cleared.cleared(0, z, x, y, 0)
    assert not cleared.cleared(0, z - 1, x >> 1, y >> 1, 0)
    assert not cleared.cleared(0, z + 1, x << 1, y << 1, 0)
    assert z == 0 or not cleared.cleared(0, z, x ^ 1, y, 0)


def test_the_meridian_and_the_poles():
    """A box across the 180th meridian is on both sides of it, one at a pole in the last row, the world in all."""
    across = bans(of_bounds(Bounds(179, -10, -179, 10), ALL))
    assert [x for x in range(16) if across.cleared(0, 4, x, 8, 0)] == [0, 15]
    assert across.cleared(0, 0, 0, 0, 0)
    pole = bans(of_bounds(Bounds(-180, 89, 180, 90), ALL))
    assert [y for y in range(16) if pole.cleared(0, 4, 3, y, 0)] == [0]
    world = bans(of_bounds(Bounds(-180, -90, 180, 90), ALL))
    assert all(world.cleared(0, 3, x, y, 0) for x in range(8) for y in range(8))


def test_content_beyond_the_edge_counts():
    """What a vector tile holds of its neighbours; over the 180th meridian, too."""
    tile = mercantile.bounds(5, 5, 4)
    aside = (tile.east - tile.west) * 100 / 4096
    near = bans(of_bounds(Bounds(tile.east + aside, 40, tile.east + aside, 41), ALL))
    assert not near.cleared(0, 4, 5, 5, 0)
    assert [near.cleared(0, 4, 5, 5, margin) for margin in (64, 98, 102)] == [False, False, True]
    last = bans(of_bounds(Bounds(179.9, 40, 179.95, 41), ALL))
    assert [last.cleared(0, 4, 0, 5, margin) for margin in (0, 64)] == [False, True]
    assert [bans(of_polygon([((179.9, 40), (179.95, 40), (179.9, 41))], ALL)).cleared(0, 4, 0, 5, 64)] == [True]


def test_files_have_no_place():
    """A box clears none; everything does."""
    everywhere = of_bounds(Bounds(-180, -90, 180, 90), ALL)
    assert not bans(everywhere).cleared(0, -1, 0, 0, 0)
    assert Bans(epoch=1, floor=1).cleared(0, -1, 0, 0, 0)


def test_what_was_made_since_is_not_cleared():
    """By any of several, and each clears only what is older than it."""
    several = Bans(epoch=7, floor=3, areas=(box(7, 0, 10), box(5, 20, 30), box(4, 0, 40)))
    places = {x: Tile.at(x, 5, 6) for x in (5, 25, 35)}
    for epoch, expected in {2: [1, 1, 1], 3: [1, 1, 1], 4: [1, 1, 0], 5: [1, 0, 0], 6: [1, 0, 0], 7: [0, 0, 0]}.items():
        found = [several.cleared(epoch, each.z, each.x, each.y, 0) for each in places.values()]
        assert found == list(map(bool, expected)), epoch


def box(epoch, west, east) -> Ban:
    """On the equator."""
    [ban] = of_bounds(Bounds(west, 0, east, 10), ALL)
    return msgspec.structs.replace(ban, epoch=epoch)


PLACE = st.tuples(st.floats(-60, 60), st.floats(-60, 60))


@given(st.lists(PLACE, min_size=3, max_size=8), PLACE, st.integers(0, 12))
def test_polygons_clear_what_shapely_says(ring, near, z):
    """Of tiles near a corner, and anywhere."""
    polygon = shapely.make_valid(shapely.Polygon(ring))
    cleared = bans(of_polygon([tuple(ring)], ALL))
    for tile in (Tile.at(*ring[0], z), Tile.at(*near, z)):
        west, south, east, north = tile.bounds
        grown, shrunk = (
            shapely.box(west - by, south - by, east + by, north + by) for by in (SLACK, -SLACK)
        )  # nearer than that, either is right
        expected = shapely.intersects(polygon, shrunk)
        if expected == shapely.intersects(polygon, grown):
            assert cleared.cleared(0, tile.z, tile.x, tile.y, 0) == expected


def test_holes_are_left_out():
    """A tile within one stays."""
    shell = ((-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0))
    hole = ((-40.0, -40.0), (40.0, -40.0), (40.0, 40.0), (-40.0, 40.0))
    cleared = bans(of_polygon([shell, hole], ALL))
    inner, rim = Tile.at(1, 1, 8), Tile.at(45, 1, 8)
    assert not cleared.cleared(0, inner.z, inner.x, inner.y, 0)
    assert cleared.cleared(0, rim.z, rim.x, rim.y, 0)


@pytest.mark.parametrize("bounds", [(0, 5, 1, 4), (0, 0, 181, 1), (0, -91, 1, 1), (float("nan"), 0, 1, 1)])
def test_what_is_no_box_is_refused(bounds):
    """With a sentence that says what is one."""
    with pytest.raises(ValueError, match="west, south, east, north in degrees"):
        of_bounds(Bounds(*bounds), ALL)
    with pytest.raises(ValueError, match="three places"):
        of_polygon([((0.0, 0.0), (1.0, 1.0))], ALL)
