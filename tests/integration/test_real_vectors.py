"""`examples/vector_file.py` on real files over HTTP, against a projection by PROJ and a clip by shapely.

The reference knows nothing of ours: each feature of the file is projected to EPSG:3857, cut with the tile and its
buffer of 64 units, and scaled to 4096 units. What must then agree is in `clips`.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas
import httpx
import mapbox_vector_tile
import mercantile
import numpy as np
import pandas as pd
import pytest
import shapely
from clips import check_geometry, clipped, projected, vanishes
from commands import Feature, features
from numpy.typing import NDArray
from realdata import DATA, EXAMPLES, needs_data
from server import serving

from tileserver.tiles import Tile

pytestmark = needs_data

FILES = [
    "ne_10m_lakes",
    "ne_10m_populated_places",
    pytest.param("ne_10m_rivers_lake_centerlines", marks=pytest.mark.slow),
    pytest.param("ne_50m_admin_0_countries", marks=pytest.mark.slow),
]
WHOLE = '''
import os

import geopandas

from tileserver import udf


@udf
def whole() -> geopandas.GeoDataFrame:
    """The whole file."""
    return geopandas.read_parquet(os.environ["VECTOR_PATH"])
'''


@dataclass
class Layer:
    """A served file, and the file itself."""

    name: str
    template: str
    """The tile URL without extension."""
    file: str
    """The URL of the whole file without extension."""
    client: httpx.Client
    frame: geopandas.GeoDataFrame

    def get(self, tile: Tile, extension: str) -> bytes:
        """The body at a tile."""
        answer = self.client.get(self.template.format(z=tile.z, x=tile.x, y=tile.y) + extension)
        assert answer.status_code == (200 if answer.content else 204), answer.text
        return answer.content

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Per feature its attributes as Python's own types; what is missing is left out."""
        plain = pd.DataFrame(self.frame).drop(columns="geometry").astype(object)
        return [{key: value for key, value in row.items() if value == value} for row in plain.to_dict("records")]

    @cached_property
    def projected(self) -> NDArray[Any]:
        """The geometries in EPSG:3857, mended where they cross themselves."""
        return projected(self.frame)

    def clipped(self, tile: Tile) -> dict[int, shapely.Geometry]:
        """By row what lies on the tile and its buffer, in units, x to the east and y to the south."""
        return clipped(self.projected, tile)


@pytest.fixture(scope="module", params=FILES)
def layer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    """A server of one file, as the examples' README starts it, and of a function that returns it whole."""
    file, folder = DATA / f"{request.param}.parquet", tmp_path_factory.mktemp(request.param)
    (folder / "whole.py").write_text(WHOLE)
    example, variables = EXAMPLES / "vector_file.py", {"VECTOR_PATH": str(file), "TILESERVER_WORKER_ENV": "VECTOR_PATH"}
    with (
        serving(example, folder / "whole.py", data=folder / "data", **variables) as server,
        server.client() as client,
    ):
        template = f"/tiles/{server.token('vector_file')}/{{z}}/{{x}}/{{y}}"
        frame = geopandas.read_parquet(file).reset_index(drop=True)
        yield Layer(request.param, template, f"/files/{server.token('whole')}", client, frame)


def tiles(frame: geopandas.GeoDataFrame) -> list[Tile]:
    """Of each zoom to 14: where the file has corners, both sides of the 180th meridian, the poles, an empty ocean."""
    corners = shapely.get_coordinates(frame.geometry.to_numpy())
    found = set()
    for zoom in range(15):
        places = [
            *np.random.default_rng(zoom).choice(corners, 2 + zoom // 4),
            (-180, -16.8),
            (180, 68.9),
            (180, -85),
            (-130, -40),
        ]
        found |= {Tile.at(longitude, latitude, zoom) for longitude, latitude in places}
    return sorted(found, key=lambda tile: (tile.z, tile.x, tile.y))


def test_tiles_are_shapelys_clip(layer: Layer) -> None:
    """Every tile has the file's features, its attributes and its geometry, none missing, moved or added."""
    compared = empty = 0
    for tile in tiles(layer.frame):
        expected, found = layer.clipped(tile), features(layer.get(tile, ".mvt"), "udf")
        for feature in found:
            assert feature.id in expected, (tile, feature.id)
            check_attributes(feature, layer.rows[feature.id])
            check_geometry(feature, expected[feature.id])
        gone = set(expected) - {feature.id for feature in found}
        assert all(vanishes(expected[row]) for row in gone), (tile, gone)
        assert len({feature.id for feature in found}) == len(found)
        compared, empty = compared + len(found), empty + (not found)
    assert compared > 500
    assert empty > 5


def check_attributes(feature: Feature, row: dict[str, Any]) -> None:
    """Exactly the file's values and types, and nothing where it has none."""
    assert {key: (type(value), value) for key, value in feature.properties.items()} == {
        key: (type(value), value) for key, value in row.items()
    }


def test_a_friendly_decoder_agrees(layer: Layer) -> None:
    """mapbox-vector-tile sees the same features, attributes and coordinates."""
    for tile in tiles(layer.frame)[2:40:5]:
        body = layer.get(tile, ".mvt")
        if not body:
            continue
        decoded = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})["udf"]["features"]
        ours = features(body, "udf")
        assert [each["id"] for each in decoded] == [each.id for each in ours]
        assert [each["properties"] for each in decoded] == [each.properties for each in ours]
        for theirs, mine in zip(decoded, ours, strict=True):
            assert shapely.geometry.shape(theirs["geometry"]).equals(mine.shape)


def test_geojson_tiles_are_exact(layer: Layer) -> None:
    """GeoJSON of a tile has the features that meet it, whole, with their very coordinates and attributes."""
    for tile in tiles(layer.frame)[3::11]:
        square = shapely.box(*tile.bounds)
        meeting = np.flatnonzero(layer.frame.geometry.make_valid().intersects(square))
        found = layer.client.get(layer.template.format(z=tile.z, x=tile.x, y=tile.y) + ".geojson").json()["features"]
        assert [each["id"] for each in found] == meeting.tolist(), tile
        for each in found:
            nulls = dict.fromkeys(layer.frame.columns.drop("geometry"))
            assert each["properties"] == nulls | layer.rows[each["id"]]
            assert identical(shapely.geometry.shape(each["geometry"]), layer.frame.geometry[each["id"]])


def test_geojson_tiles_are_cut_on_request(layer: Layer) -> None:
    """With `clip=true` it has what of these lies on the tile and its buffer, and nothing of others."""
    whole = layer.frame.geometry.make_valid()
    for tile in tiles(layer.frame)[3::17]:
        west, south, east, north = tile.bounds_3857
        margin = (east - west) * 64 / 4096
        corners = (mercantile.lnglat(west - margin, south - margin), mercantile.lnglat(east + margin, north + margin))
        expected = whole.intersection(shapely.box(*corners[0], *corners[1]))
        alike = shapely.get_dimensions(expected) == shapely.get_dimensions(whole)
        near = np.flatnonzero(alike & ~shapely.is_missing(expected.to_numpy()) & ~expected.is_empty)
        address = layer.template.format(z=tile.z, x=tile.x, y=tile.y) + ".geojson?clip=true"
        found = layer.client.get(address).json()["features"]
        assert [each["id"] for each in found] == near.tolist(), tile
        for each in found:
            shape, clip = shapely.geometry.shape(each["geometry"]), expected[each["id"]]
            assert shape.hausdorff_distance(clip) < 1e-6, tile


def identical(found: Any, expected: Any) -> Any:
    """Whether geometries have the very coordinates, or both are missing."""
    return shapely.equals_identical(found, expected) | shapely.is_missing(found) & shapely.is_missing(expected)


def test_the_whole_file_comes_back(layer: Layer) -> None:
    """GeoParquet, CSV and JSON of the whole file have its exact attributes, types and geometries."""
    names = list(layer.frame.columns.drop("geometry"))
    parquet = geopandas.read_parquet(io.BytesIO(layer.client.get(f"{layer.file}.parquet").content))
    pd.testing.assert_frame_equal(pd.DataFrame(parquet[names]), pd.DataFrame(layer.frame[names]))
    assert parquet.crs == layer.frame.crs
    types = {name: layer.frame[name].dtype for name in names}
    text = io.StringIO(layer.client.get(f"{layer.file}.csv").text)
    csv = pd.read_csv(text, dtype=types, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(csv[names], pd.DataFrame(layer.frame[names]))
    records = layer.client.get(f"{layer.file}.json").json()
    assert [
        {key: value for key, value in each.items() if value is not None and key != "geometry"} for each in records
    ] == layer.rows
    for shapes in (
        parquet.geometry.to_numpy(),
        shapely.from_wkt(csv["geometry"].astype(object).where(csv["geometry"].notna(), None).to_numpy()),
        [each["geometry"] and shapely.geometry.shape(each["geometry"]) for each in records],
    ):
        assert identical(np.asarray(shapes), layer.frame.geometry.to_numpy()).all()
