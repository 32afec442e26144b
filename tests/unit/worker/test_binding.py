"""Canonical arguments to what annotations ask for, and what a tile injects."""

import datetime as dt
import uuid
from typing import Any

import geopandas
import mercantile
import pandas
import pytest
import shapely

from tileserver.errors import InvalidParameterError
from tileserver.signature import parse
from tileserver.tiles import Tile
from tileserver.udfs import Udf
from tileserver.udfs import bind as canonical
from tileserver.worker.binding import bind, bind_values

TILE = Tile(3, 1, 2, size=512)


def udf(signature: str, *, fused: bool = False) -> Udf:
    return parse(f"@{'fused.' if fused else ''}udf\ndef f({signature}): ...\n", file="f.py")


def bound(signature: str, at: Tile | None = None, /, **query: str) -> dict[str, Any]:
    """From a query's texts to what the function gets."""
    known = udf(signature)
    return bind(known, canonical(known, {name: [text] for name, text in query.items()}, tiled=at is not None), at)


def test_a_tile_injects_by_name() -> None:
    """Each name, whatever its place and its default."""
    given = bound("z, y, x, tile, bounds, bbox=None", TILE)
    assert (given["z"], given["x"], given["y"], given["tile"]) == (3, 1, 2, TILE)
    assert given["tile"].size == 512
    assert given["bounds"] == list(TILE.bounds)
    assert isinstance(given["bbox"], geopandas.GeoDataFrame)
    assert given["bbox"].crs.to_epsg() == 4326
    assert given["bbox"].total_bounds.tolist() == pytest.approx(list(TILE.bounds))
    assert given["bbox"][["x", "y", "z"]].to_numpy().tolist() == [[1, 2, 3]]


def test_a_tile_injects_by_annotation() -> None:
    """Under any name, as `fused.types` has them."""
    given = bound("a: Tile, b: fused.types.TileXYZ, c: fused.types.Bounds, d: fused.types.TileGDF", TILE)
    assert given["a"] == TILE
    assert given["b"] == mercantile.Tile(1, 2, 3)
    assert given["c"] == list(TILE.bounds)
    assert given["d"].total_bounds.tolist() == pytest.approx(list(TILE.bounds))


def test_nobody_sets_from_outside_what_a_tile_injects() -> None:
    """The query's names of the same spelling are dropped, from `**kwargs` as well."""
    given = bound("z, tile, n: int = 1, **rest", TILE, z="9", x="7", tile="0/0/0", n="2", other="o")
    assert given == {"z": 3, "tile": TILE, "n": 2, "other": "o"}


def test_on_file_routes_they_come_from_the_query() -> None:
    """Text and numbers become what a tile would have brought."""
    given = bound("tile, bounds, bbox, x", tile="3/1/2", bounds="1,2,3,4", bbox="1,2,3,4", x="5")
    assert (given["tile"], given["bounds"], given["x"]) == (Tile(3, 1, 2), [1.0, 2.0, 3.0, 4.0], 5)
    assert given["bbox"].total_bounds.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("datetime", "2024-03-20T12:00:00Z", dt.datetime(2024, 3, 20, 12, tzinfo=dt.UTC)),
        ("datetime.date", "2024-03-20", dt.date(2024, 3, 20)),
        ("time", "12:30", dt.time(12, 30)),
        ("uuid.UUID", "12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678")),
        ("tuple[int, datetime.date]", "1,2024-03-20", (1, dt.date(2024, 3, 20))),
        ("list[datetime.date]", "2024-03-20", [dt.date(2024, 3, 20)]),
        ("datetime | None", "", None),
        ("shapely.Point", "POINT (1 2)", shapely.Point(1, 2)),
        ("shapely.Geometry", "POINT (1 2)", shapely.Point(1, 2)),
        ("Polygon", '{"type": "Point", "coordinates": [1, 2]}', shapely.Point(1, 2)),
        ("Literal['a', 2]", "2", 2),
        ("dict", '{"a": [1]}', {"a": [1]}),
        ("Optional[float]", "1", 1.0),
    ],
)
def test_conversions(annotation: str, text: str, value: Any) -> None:
    """The function gets the type that it asked for."""
    given = bound(f"p: {annotation}", p=text)["p"]
    assert given == value
    assert type(given) is type(value)


def test_frames() -> None:
    """GeoJSON, a box and a table become data frames."""
    feature = '{"type": "Feature", "properties": {"a": 1}, "geometry": {"type": "Point", "coordinates": [1, 2]}}'
    frame = bound("p: gpd.GeoDataFrame", p=feature)["p"]
    assert frame["a"].tolist() == [1]
    assert bound("p: gpd.GeoDataFrame", p="[1, 2, 3, 4]")["p"].total_bounds.tolist() == [1, 2, 3, 4]
    table = bound("p: pd.DataFrame", p='[{"a": 1}, {"a": 2}]')["p"]
    assert isinstance(table, pandas.DataFrame)
    assert table["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("annotation", "texts"),
    [
        ("gpd.GeoDataFrame", ["5", "x", "[1, 2]", "{}", "null", "[" * 5000, '{"type": "FeatureCollection"}']),
        ("gpd.GeoDataFrame", ['{"type": "Feature", "properties": {}, "geometry": {"type": "X"}}']),
        ("pd.DataFrame", ["5", "x", ""]),
        ("Polygon", ["POLYGON((", "{", "{}", "", "\0"]),
        ("UUID", ["zz", ""]),
    ],
)
def test_what_does_not_convert_is_named(annotation: str, texts: list[str]) -> None:
    """One sentence with the name and what is wanted; nothing of the text, nothing of Python."""
    for text in texts:
        with pytest.raises(InvalidParameterError, match="'p' does not convert to") as caught:
            bound(f"p: {annotation}", p=text)
        assert caught.value.parameter == "p"
        assert str(caught.value).endswith(".")
        assert "Error" not in str(caught.value)


@pytest.mark.parametrize("text", ["1/2", "99/0/0", "a/b/c", "0/1/0", "1/1/" + "1" * 5000, "", "1/2/3/4"])
def test_a_tile_in_a_query_is_a_tile(text: str) -> None:
    """z/x/y inside the pyramid, or 422."""
    with pytest.raises(InvalidParameterError, match=r"a tile \(z/x/y\)"):
        bound("tile", tile=text)


def fused(signature: str, at: Tile | None = None, /, **query: str) -> dict[str, Any]:
    """The same for a source of `@fused.udf`."""
    known = udf(signature, fused=True)
    return bind(known, canonical(known, {name: [text] for name, text in query.items()}, tiled=at is not None), at)


@pytest.mark.parametrize(
    "signature", ["bounds", "n=1, bounds=None", "bbox", "n=1, bbox=None", "area", "area=None, n=1"]
)
def test_a_fused_source_takes_the_tile_by_convention(signature: str) -> None:
    """By `bounds`, else by `bbox`, else by its first parameter; a frame where nothing else is said."""
    given = fused(signature, TILE, n="5")
    [frame] = [value for value in given.values() if isinstance(value, geopandas.GeoDataFrame)]
    assert frame[["x", "y", "z"]].to_numpy().tolist() == [[1, 2, 3]]
    assert given.get("n", "5") == "5"


def test_a_first_parameter_of_another_type_is_none() -> None:
    """Of a function that takes no tile; and where another is annotated as one."""
    assert fused("n: int = 3, m=4", TILE) == {"n": 3, "m": 4}
    assert fused("n=3", TILE) == {"n": 3}
    given = fused("name, area: fused.types.Bounds", TILE, name="a")
    assert given == {"name": "a", "area": list(TILE.bounds)}


def test_a_fused_source_gets_the_form_that_it_asks_for() -> None:
    """Optional ones too, by a string's name too; x, y and z as numbers."""
    given = fused("bounds: 'fused.types.Bounds' = None, bbox: Optional[fused.types.Bbox] = None, z=0", TILE)
    assert given["bounds"] == list(TILE.bounds)
    assert given["bbox"].equals(shapely.box(*TILE.bounds))
    assert given["z"] == 3


def test_fused_rules_hold_for_fused_sources_only() -> None:
    """Unannotated strings stay strings, `0` is true, tuples are tuples."""
    assert fused("n=5, flag: bool = False, pair: tuple = ()", n="7", flag="0", pair="[1, 2]") == {
        "n": "7",
        "flag": True,
        "pair": (1, 2),
    }
    assert bound("n=5, flag: bool = False", n="7", flag="0") == {"n": 7, "flag": False}


def test_defaults_of_the_decorator_and_special_names() -> None:
    """`default_parameters` fill in, `context` is None where nothing is there."""
    known = parse("@fused.udf(default_parameters={'n': 5}, region='x')\ndef f(context, n, m=1): ...\n", file="f.py")
    assert bind(known, canonical(known, {}, tiled=False), None) == {"context": None, "n": 5, "m": 1}


def test_values_of_pythons_own() -> None:
    """As a function gives them that runs another here: texts convert, areas do, the rest is as it is."""
    known = udf("bounds: fused.types.Tile, n: int = 1, thing=None", fused=True)
    thing = object()
    given = bind_values(known, {"bounds": [0, 0, 1, 1], "n": "5", "thing": thing, "strange": 1}, None)
    assert given["bounds"].total_bounds.tolist() == [0, 0, 1, 1]
    assert (given["n"], given["thing"], len(given)) == (5, thing, 3)
    with pytest.raises(InvalidParameterError, match="'bounds' is missing"):
        bind_values(known, {"n": 1}, None)
    assert bind_values(known, {}, TILE)["bounds"]["z"].tolist() == [3]
