"""Vector tiles against mapbox-vector-tile's decoder and shapely's own clip."""

import gzip
import itertools
import os
from pathlib import Path

import geopandas
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import shapely
from clips import placed
from hypothesis import given, settings
from hypothesis import strategies as st

from tileserver.encode import encode, mvt
from tileserver.errors import InvalidParameterError, ResultTooLargeError
from tileserver.jobs import Output
from tileserver.tiles import Tile

DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
BOX = shapely.box(-64, -64, 4160, 4160)
FILES = ["ne_10m_lakes", "ne_10m_rivers_lake_centerlines", "ne_10m_populated_places", "ne_50m_admin_0_countries"]
TILES = [Tile(0, 0, 0), Tile(2, 1, 1), Tile(4, 8, 5), Tile(6, 33, 22), Tile(5, 31, 9), Tile(3, 3, 7)]


def read(name):
    """A file of test data as a frame."""
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no test data {path.name}; set TILESERVER_TEST_DATA")
    return geopandas.read_parquet(path)


def features(body):
    """The features of the one layer, y to the south."""
    if not body:
        return []
    return mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})["udf"]["features"]


def units(frame, tile):
    """The frame's geometry in units of the tile, clipped plainly."""
    west, south, east, north = tile.bounds_3857
    flat = frame.geometry.clip_by_rect(-1000, -89, 1000, 89).make_valid().to_crs(3857).make_valid().to_numpy()
    scaled = shapely.transform(flat, lambda xy: (xy - (west, north)) * (4096 / (east - west), -4096 / (north - south)))
    return shapely.intersection(shapely.make_valid(scaled), BOX)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tile", TILES, ids=lambda tile: f"{tile.z}-{tile.x}-{tile.y}")
def test_geometry_is_within_one_unit(name, tile):
    """Every feature lies where shapely's clip of it lies, polygons are valid, and none that matters is lost."""
    frame = read(name).reset_index(drop=True)
    expected = units(frame, tile)
    found = features(mvt.encode(frame, tile))
    for feature in found:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shapely.is_valid(shape) or shape.geom_type not in ("Polygon", "MultiPolygon")
        assert expected[feature["id"]].buffer(1.01).covers(shape)
    large = np.flatnonzero((shapely.area(expected) > 30) | (shapely.length(expected) > 30) & (name == FILES[1]))
    assert set(large) <= {feature["id"] for feature in found}


@pytest.mark.parametrize("name", FILES)
def test_attributes_are_exact(name):
    """Every attribute comes back, and what is missing stays away."""
    frame = read(name).reset_index(drop=True)
    plain = pd.DataFrame(frame.drop(columns=["geometry", "bbox"], errors="ignore")).astype(object)
    for feature in features(mvt.encode(frame, Tile(2, 2, 1))):
        row = plain.loc[feature["id"]]
        found = {key: value for key, value in feature["properties"].items() if key in plain}
        assert found == row[row.notna()].to_dict()


places = st.tuples(st.floats(-179.9, 179.9), st.floats(-85, 85))


@given(st.lists(places, min_size=1, max_size=20), st.integers(0, 3))
@settings(deadline=None)
def test_points_come_back(lonlats, zoom):
    """A point is found at its own place, to half a unit."""
    tile = Tile.at(*lonlats[0], zoom)
    frame = geopandas.GeoDataFrame(geometry=shapely.points(lonlats), crs=4326)
    expected = units(frame, tile)
    for feature in features(mvt.encode(frame, tile)):
        found = shapely.geometry.shape(feature["geometry"])
        assert found.distance(expected[feature["id"]]) <= 0.71
    assert 0 in {feature["id"] for feature in features(mvt.encode(frame, tile))}


def test_winding_is_the_specifications():
    """Shells have positive area in units (y down), holes negative, however they came."""
    ring = shapely.box(-60, -60, 60, 60).difference(shapely.box(-20, -20, 20, 20))
    for shape in (ring, shapely.reverse(ring)):
        body = mvt.encode(geopandas.GeoDataFrame(geometry=[shape], crs=4326), Tile(0, 0, 0))
        shell, hole = features(body)[0]["geometry"]["coordinates"]
        assert shapely.LinearRing(shell).is_ccw and not shapely.LinearRing(hole).is_ccw


def test_types_ids_and_collections():
    """Values keep their types, ids are whole and not negative, a collection becomes a feature per type."""
    when = pd.Timestamp("2024-05-06T07:08:09")
    frame = geopandas.GeoDataFrame(
        {"s": ["a", None], "i": [-5, 2**40], "f": [0.5, np.nan], "b": [True, False], "t": [when, pd.NaT],
         "o": [{"k": [1]}, 3], "key": [7, -1]},
        geometry=[shapely.GeometryCollection([shapely.Point(1, 1), shapely.box(2, 2, 9, 9)]), shapely.Point(3, 3)],
        crs=4326,
    )  # fmt: skip
    found = features(mvt.encode(frame, Tile(0, 0, 0), id_column="key"))
    assert [one["id"] for one in found] == [7, 7, 0]  # the decoder says 0 where there is none
    first = {"s": "a", "i": -5, "f": 0.5, "b": True, "t": "2024-05-06T07:08:09", "o": '{"k":[1]}', "key": 7}
    assert found[0]["properties"] == found[1]["properties"] == first
    assert found[2]["properties"] == {"i": 2**40, "b": False, "o": 3, "key": -1}
    with pytest.raises(InvalidParameterError, match="id_column=nope is not a column"):
        mvt.encode(frame, Tile(0, 0, 0), id_column="nope")


def test_poles_invalid_and_collapsed():
    """A pole does no harm, a bow tie is mended, a speck is dropped."""
    bow = shapely.Polygon([(0, 0), (40, 40), (40, 0), (0, 40)])
    shapes = [shapely.box(-180, -90, 180, 90), bow, shapely.box(0, 0, 1e-4, 1e-4), None, shapely.Polygon()]
    found = features(mvt.encode(geopandas.GeoDataFrame(geometry=shapes, crs=4326), Tile(0, 0, 0)))
    assert [one["id"] for one in found] == [0, 1]
    assert all(shapely.geometry.shape(one["geometry"]).is_valid for one in found)


@pytest.mark.parametrize("make", [shapely.LineString, shapely.Polygon], ids=["line", "area"])
def test_straight_edges_are_straight_however_many_points_they_have(make):
    """Rounded first, those of thirty points would go in stairs."""
    few = np.array([(10, 20), (120, 71), (90, 140), (10, 20)])
    many = np.concatenate([np.linspace(*edge, 30, endpoint=False) for edge in itertools.pairwise(few)] + [few[-1:]])
    frame = geopandas.GeoDataFrame(geometry=[make(many), make(few)], crs=3857)
    one, other = (
        shapely.geometry.shape(each["geometry"]) for each in features(mvt.encode(frame, Tile(18, 131072, 131071)))
    )
    assert shapely.count_coordinates(other) == len(few)
    assert shapely.count_coordinates(one) <= len(few) + 1  # a ring's last point stays
    assert shapely.hausdorff_distance(one, other) < 1


def test_a_hole_beside_the_tile_in_an_area_that_cannot_be_linked():
    """It is looked at as it came, where nothing is left of the hole."""
    turns = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    x = 2500 + 2500 * np.sin(turns) + 3 * np.sin(300 * turns)
    y = 2000 + 1000 * np.sin(2 * turns) + 3 * np.cos(310 * turns)
    hole = [(4500, 2200), (4510, 2200), (4510, 2210)]
    tile = Tile(6, 33, 21)
    shape = placed([shapely.Polygon(np.column_stack([x, y]), [hole])], tile)
    [found] = features(mvt.encode(geopandas.GeoDataFrame(geometry=shape, crs=3857), tile))
    assert shapely.geometry.shape(found["geometry"]).is_valid


def test_other_systems_agree():
    """The same features in metres and in degrees make nearly the same tile."""
    frame = geopandas.GeoDataFrame(geometry=[shapely.Point(10, 50)], crs=4326)
    tiles = [mvt.encode(frame.to_crs(crs), Tile(4, 8, 5)) for crs in (4326, 3857, 32632)]
    assert tiles[0] == tiles[1] == tiles[2]


def test_gzip_is_deterministic_and_empties_are_empty():
    """Equal results have equal bytes; no feature on the tile is no byte."""
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(10, 50)], crs=4326)
    one, two = (encode(frame, Output(), Tile(4, 8, 5), limit=1000) for _ in range(2))
    assert one.body == two.body and one.coding == "gzip" and gzip.decompress(one.body)[4:8] != b""
    gone = encode(frame, Output(), Tile(4, 0, 0), limit=1000)
    assert gone.empty and gone.body == b"" and gone.coding == "" and gone.format == "mvt"
    with pytest.raises(ResultTooLargeError) as caught:
        encode(frame, Output(max_tile_bytes=5), Tile(4, 8, 5), limit=1000)
    assert "with a single feature; max_tile_bytes allows 5" in caught.value.message
