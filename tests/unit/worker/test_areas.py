"""What a tile covers, in each form of `fused.types`."""

import json
from typing import Any

import geopandas
import mercantile
import pytest
import shapely

from tileserver.annotations import ANY, Annotation
from tileserver.tiles import Tile
from tileserver.worker.areas import area, frame

TILE = Tile(3, 1, 2)
BOX = list(TILE.bounds)
GEOJSON = shapely.to_geojson(shapely.box(*BOX))
SPELLINGS = [
    TILE,
    BOX,
    tuple(BOX),
    json.dumps(BOX),
    ",".join(map(str, BOX)),
    "3/1/2",
    GEOJSON,
    f'{{"type": "Feature", "properties": {{}}, "geometry": {GEOJSON}}}',
    f'{{"type": "FeatureCollection", "features": [{{"type": "Feature", "properties": {{}}, "geometry": {GEOJSON}}}]}}',
    shapely.box(*BOX),
    geopandas.GeoDataFrame(geometry=[shapely.box(*BOX)], crs=4326),
]


def form(name: str, value: Any) -> Any:
    return area(Annotation(name=name), value)


@pytest.mark.parametrize("value", SPELLINGS, ids=lambda value: type(value).__name__)
def test_every_spelling_in_every_form(value: Any) -> None:
    """The same area, whatever it was told with."""
    for name in ("Tile", "TileGDF"):
        found = form(name, value)
        assert isinstance(found, geopandas.GeoDataFrame)
        assert found.crs.to_epsg() == 4326
        assert found.total_bounds.tolist() == pytest.approx(BOX)
        assert {"x", "y", "z", "geometry"} == set(found.columns)
    assert form("Bounds", value) == pytest.approx(BOX)
    assert form("list", value) == pytest.approx(BOX)
    assert form("tuple", value) == pytest.approx(tuple(BOX))
    assert form("Bbox", value).bounds == pytest.approx(tuple(BOX))
    assert list(form("ViewportGDF", value).columns) == ["geometry"]
    assert form("GeoDataFrame", value).total_bounds.tolist() == pytest.approx(BOX)
    assert isinstance(form("TileXYZ", value), mercantile.Tile)


def test_the_tile_of_an_area() -> None:
    """Its own where it knows it, else the smallest around it, as mercantile has it."""
    assert form("TileXYZ", TILE) == mercantile.Tile(1, 2, 3)
    assert form("TileXYZ", frame(TILE).assign(geometry=shapely.Point(0, 0))) == mercantile.Tile(1, 2, 3)
    inside = [10.0, 20.0, 11.0, 21.0]
    around = mercantile.bounding_tile(*inside)
    assert form("TileXYZ", inside) == around
    assert form("Tile", inside)[["x", "y", "z"]].to_numpy().tolist() == [list(around)]


def test_without_an_annotation_only_a_tile_changes() -> None:
    """A text stays a text; None is None in every form."""
    assert area(ANY, "[1, 2, 3, 4]") == "[1, 2, 3, 4]"
    assert area(ANY, TILE)[["x", "y", "z"]].to_numpy().tolist() == [[1, 2, 3]]
    assert form("TileGDF", None) is None


def test_another_reference_system_leads_to_degrees() -> None:
    """Of a frame, and of GeoJSON that names it."""
    there = frame(BOX).to_crs(3857)
    for value in (there, there.to_json()):
        assert form("Bounds", value) == pytest.approx(BOX)
        assert form("GeoDataFrame", value).crs.to_epsg() == 4326
    with pytest.raises(ValueError, match="no reference system"):
        form("Bounds", there.to_json().replace("EPSG::3857", "EPSG::none"))


def test_columns_of_geojson_are_kept() -> None:
    """But those of a tile, where none is wanted."""
    feature = {"type": "Feature", "properties": {"x": 1, "y": 2, "z": 3, "n": 5}, "geometry": json.loads(GEOJSON)}
    text = json.dumps(feature)
    assert form("GeoDataFrame", text)["n"].tolist() == [5]
    assert list(form("ViewportGDF", text).columns) == ["geometry", "n"]
    assert form("TileXYZ", text) == mercantile.Tile(1, 2, 3)
