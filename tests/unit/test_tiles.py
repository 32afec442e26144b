"""Tiles against mercantile, over all zooms and at the edges."""

import itertools

import mercantile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.tiles import MAX_LATITUDE, MAX_ZOOM, Bounds, Tile, along_curve, covering


@st.composite
def tiles(draw: st.DrawFn) -> Tile:
    zoom = draw(st.integers(0, MAX_ZOOM))
    last = (1 << zoom) - 1
    return Tile(zoom, draw(st.integers(0, last)), draw(st.integers(0, last)))


@given(tiles())
def test_bounds_are_mercantiles(tile: Tile) -> None:
    """Degrees and metres equal what mercantile gives for x, y, z."""
    assert tile.bounds == Bounds(*mercantile.bounds(tile.x, tile.y, tile.z))
    assert tile.bounds_3857 == Bounds(*mercantile.xy_bounds(tile.x, tile.y, tile.z))


@given(tiles())
def test_a_tile_contains_its_own_middle(tile: Tile) -> None:
    """The tile found at the middle of the bounds is the tile again."""
    west, south, east, north = tile.bounds
    if tile.z <= 22:
        assert Tile.at((west + east) / 2, (south + north) / 2, tile.z) == tile


@given(tiles(), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_every_place_of_a_tile_leads_back_to_it(tile: Tile, across: float, up: float) -> None:
    """Tile to bounds to tile, through any place inside, as mercantile has it too; to the deepest zoom."""
    west, south, east, north = tile.bounds
    place = west + across * (east - west), south + up * (north - south)
    assert Tile.at(*place, tile.z) == tile
    assert mercantile.tile(*place, tile.z) == (tile.x, tile.y, tile.z)


@given(tiles())
def test_neighbours_share_their_edges(tile: Tile) -> None:
    """The bounds of tiles side by side meet without a gap, and those of four children fill their parent."""
    if tile.x + 1 < 1 << tile.z:
        east = Tile(tile.z, tile.x + 1, tile.y)
        assert tile.bounds.east == east.bounds.west
        assert tile.bounds_3857.east == pytest.approx(east.bounds_3857.west, abs=1e-8)
    if tile.z < MAX_ZOOM:
        first, last = (Tile(tile.z + 1, 2 * tile.x + step, 2 * tile.y + step) for step in (0, 1))
        assert tile.bounds == (first.bounds.west, last.bounds.south, last.bounds.east, first.bounds.north)
        assert first.ancestor(tile.z) == last.ancestor(tile.z) == tile


@given(st.floats(-180, 180), st.floats(-90, 90), st.integers(0, MAX_ZOOM))
def test_a_place_is_in_the_tile_that_is_found_for_it(longitude: float, latitude: float, zoom: int) -> None:
    """Place to tile to bounds: they hold the place, or its nearest latitude in the square."""
    west, south, east, north = Tile.at(longitude, latitude, zoom).bounds
    slack = (east - west) * 1e-3 + 1e-12
    assert west - slack <= longitude <= east + slack
    assert south - slack <= max(min(latitude, MAX_LATITUDE), -MAX_LATITUDE) <= north + slack


@given(tiles())
def test_a_partition_is_an_ancestor_two_zooms_above(tile: Tile) -> None:
    """The partition's cell contains the tile; its zoom is a multiple of four, at most two above it."""
    partition = tile.partition
    ancestor = tile.ancestor(partition.zoom)
    assert (ancestor.x, ancestor.y) == (partition.x, partition.y)
    assert partition.zoom % 4 == 0
    assert partition.zoom <= max(tile.z - 2, 0)
    assert partition.name[2:] == tile.quadkey[: partition.zoom]


@pytest.mark.parametrize(
    "address", [(-1, 0, 0), (31, 0, 0), (0, 1, 0), (0, 0, 1), (3, 8, 0), (3, 0, 8), (3, -1, 0), (3, 0, -1)]
)
def test_what_is_no_tile_is_refused(address: tuple[int, int, int]) -> None:
    """A tile that exists is valid."""
    with pytest.raises(ValueError, match=r"zoom|outside"):
        Tile(*address)


def test_the_edges_of_the_world() -> None:
    """The pyramid ends at 180 degrees and at the square's latitude; places beyond it take the edge."""
    assert Tile(0, 0, 0).bounds == pytest.approx((-180, -MAX_LATITUDE, 180, MAX_LATITUDE))
    assert Tile.at(180, 90, 4) == Tile(4, 15, 0)
    assert Tile.at(-180, -90, 4) == Tile(4, 0, 15)


def test_meeting_bounds_across_the_180th_meridian() -> None:
    """West above east means across the meridian; touching edges share no area."""
    pacific = Bounds(170, -20, -170, 20)
    assert Tile(2, 3, 1).meets(pacific)
    assert Tile(2, 0, 2).meets(pacific)
    assert not Tile(2, 1, 1).meets(pacific)
    assert not Tile(1, 0, 0).meets(Bounds(0, 0, 10, 10))


def covered(bounds: Bounds, zoom: int) -> list[tuple[int, int]]:
    return [(x, y) for columns, rows in covering(bounds, zoom) for x in columns for y in rows]


def pairs(limit: float) -> st.SearchStrategy[tuple[float, float]]:
    degrees = st.floats(-limit, limit)
    return st.tuples(degrees, degrees).filter(lambda pair: abs(pair[0] - pair[1]) > 1e-9)


@given(pairs(180), pairs(85), st.integers(0, 6))
def test_an_area_takes_mercantiles_tiles(sides: tuple[float, float], ends: tuple[float, float], zoom: int) -> None:
    """Each once, also across the 180th meridian."""
    bounds = Bounds(sides[0], min(ends), sides[1], max(ends))
    found = covered(bounds, zoom)
    assert len(found) == len(set(found))
    assert set(found) == {(each.x, each.y) for each in mercantile.tiles(*bounds, zoom)}


@given(tiles().filter(lambda tile: tile.z <= 20))
def test_a_tiles_own_area_is_itself(tile: Tile) -> None:
    """Its neighbours share an edge with it, and no area."""
    assert covered(tile.bounds, tile.z) == [(tile.x, tile.y)]


def test_an_area_upside_down_is_none() -> None:
    """South above north."""
    with pytest.raises(ValueError, match="west, south, east, north"):
        covering(Bounds(0, 10, 10, 0), 3)


@given(st.integers(0, MAX_ZOOM), st.data())
def test_along_the_curve_is_everything_once(zoom: int, data: st.DataObject) -> None:
    """At any depth, for any rectangle, one of nothing too."""
    first = [data.draw(st.integers(0, (1 << zoom) - 1)) for _ in range(2)]
    columns, rows = (range(each, min(each + data.draw(st.integers(0, 20)), 1 << zoom)) for each in first)
    found = list(along_curve(columns, rows, zoom))
    assert len(found) == len(set(found)) == len(columns) * len(rows)
    assert {(each.x, each.y) for each in found} == {(x, y) for x in columns for y in rows}


@pytest.mark.parametrize("zoom", [1, 3, 6])
def test_each_is_beside_the_one_before(zoom: int) -> None:
    """Where all of a zoom is wanted; and no partition is left before all of it is done."""
    found = list(along_curve(range(1 << zoom), range(1 << zoom), zoom))
    assert all(abs(one.x - other.x) + abs(one.y - other.y) == 1 for one, other in itertools.pairwise(found))
    partitions = [each.partition for each in found]
    changes = sum(one != other for one, other in itertools.pairwise(partitions))
    assert changes + 1 == len(set(partitions))
