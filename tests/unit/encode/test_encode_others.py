"""Vectors as text, tables, documents, nothing at all, and what cannot be served."""

import gzip
import html.parser
import io
import subprocess
import sys
from decimal import Decimal

import geopandas
import mapbox_vector_tile
import matplotlib.figure
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tileserver.encode import encode
from tileserver.errors import BadResultError, FormatNotPossibleError
from tileserver.formats import Response
from tileserver.jobs import Output
from tileserver.tiles import Tile

TILE = Tile(4, 8, 5)
FRAME = geopandas.GeoDataFrame(
    {"n": [1.5, np.nan], "s": ["a", "b"]}, geometry=[shapely.Point(10, 50), shapely.Point(-100, 0)], crs=4326
)
FEATURE = {"type": "Feature", "id": 4, "properties": {"n": 1}, "geometry": {"type": "Point", "coordinates": [10, 50]}}


def answer(result, tile=None, sample=False, **options):
    """The answer and its plain body."""
    if "format" in options:
        name = options.pop("format")
        options |= {"formats": (name,) if name else (), "blank": name or ""}
    output = Output(**options)
    made = encode(result, output, tile, limit=10_000_000, sample=sample)
    return made, gzip.decompress(made.body) if made.coding else made.body


@pytest.mark.parametrize(
    "result",
    [FRAME, FRAME.to_crs(3857), FRAME.geometry, pa.table(FRAME.to_arrow()), FEATURE, [FEATURE], FEATURE["geometry"],
     {"type": "FeatureCollection", "features": [FEATURE]}, shapely.Point(10, 50),
     FRAME.set_crs(None, allow_override=True)],
)  # fmt: skip
def test_vectors_are_geojson_of_the_tile(result):
    """All that holds features is written as GeoJSON in degrees, those that meet the tile only."""
    made, body = answer(result, TILE, format="geojson")
    features = orjson.loads(body)["features"]
    assert made.kind == "vector" and len(features) == 1
    assert features[0]["geometry"]["coordinates"] == pytest.approx([10, 50])


def test_features_are_cut_on_request():
    """With the tile and its buffer, on both sides of the 180th meridian; what only touches it is not there."""
    bow = shapely.Polygon([(130, -5), (140, -15), (140, -5), (130, -15)])
    shapes = [shapely.box(170, -10, 190, 10), shapely.box(120, -9, 135 - 45 * 64 / 4096, -5), bow, None]
    shapes += [shapely.GeometryCollection(), shapely.LineString([(100, -7), (190, -7)]), shapely.Point(140, -30)]
    frame = geopandas.GeoDataFrame({"n": range(7)}, geometry=shapes, crs=4326)

    def found(tile, **options):
        features = orjson.loads(answer(frame, tile, format="geojson", clip=True, **options)[1])["features"]
        return {each["properties"]["n"]: shapely.geometry.shape(each["geometry"]) for each in features}

    east, west = found(Tile(3, 7, 4)), found(Tile(3, 0, 4), buffer=0)
    assert sorted(east) == [0, 2, 5, 6]
    assert east[0].bounds == pytest.approx((170, -10, 180.703125, 0.7031), abs=1e-4)
    assert east[2].is_valid and east[2].area == pytest.approx(25 + 45 / 64 * 45 / 32 / 2)
    assert east[5].bounds == pytest.approx((134.296875, -7, 180.703125, -7), abs=1e-4)
    assert east[6].equals(frame.geometry[6])
    assert {row: shape.bounds for row, shape in west.items()} == {
        0: pytest.approx((-180, -10, -170, 0), abs=1e-4),
        5: pytest.approx((-180, -7, -170, -7), abs=1e-4),
    }


def test_geoparquet_metadata_is_read():
    """An Arrow table as GeoParquet holds it is a vector."""
    stream = io.BytesIO(answer(FRAME, format="parquet")[1])
    assert geopandas.read_parquet(stream).equals(FRAME)
    stream.seek(0)
    assert answer(pyarrow.parquet.read_table(stream), TILE)[0].kind == "vector"


def test_a_parquet_file_keeps_that_there_is_no_crs():
    """A tile, and every other format, needs degrees."""
    metres = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(5e5, 5e6)])
    found = geopandas.read_parquet(io.BytesIO(answer(metres, format="parquet", tiled=False)[1]))
    assert found.crs is None and found.equals(metres)
    for tile, name in ((TILE, "parquet"), (None, "geojson"), (None, "html")):
        with pytest.raises(BadResultError) as caught:
            answer(metres, tile, format=name)
        assert "call set_crs" in caught.value.message


def test_vectors_as_records():
    """JSON has GeoJSON geometries, CSV has WKT."""
    record = orjson.loads(answer(FRAME, format="json")[1])[1]
    assert record == {"n": None, "s": "b", "geometry": {"type": "Point", "coordinates": [-100.0, 0.0]}}
    assert answer(FRAME, format="csv")[1].decode() == "n,s,geometry\n1.5,a,POINT (10 50)\n,b,POINT (-100 0)\n"


def test_facts_of_vectors():
    """A sample says geometry, fields and values."""
    facts = answer(FRAME, TILE, sample=True)[0].facts
    assert facts["geometry"] == ["Point"] and facts["fields"] == {"n": "Number", "s": "String"} and facts["count"] == 2
    assert facts["stats"]["n"] == {"type": "Number", "count": 1, "values": [1.5], "min": 1.5, "max": 1.5}


def test_tables():
    """Tables are Parquet files and JSON tiles."""
    table = pd.DataFrame({"a": [1, 2], "t": [pd.Timestamp("2024-01-02"), pd.NaT], "f": [np.nan, 1.0]})
    made, body = answer(table, tiled=False)
    assert made.format == "parquet" and pd.read_parquet(io.BytesIO(body)).equals(table)
    expected = [{"a": 1, "t": "2024-01-02T00:00:00", "f": None}, {"a": 2, "t": None, "f": 1.0}]
    assert orjson.loads(answer(table)[1]) == expected
    assert answer(pa.table({"a": [1]}), format="csv")[1] == b"a\n1\n"


def test_csv_with_the_index():
    """As the hosted API writes it; a table's index has its name."""
    assert answer(FRAME, format="csv", indexed=True)[1].decode() == FRAME.to_csv()
    named = pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="key"))
    assert answer(named, format="csv", indexed=True)[1] == b"key,a\nx,1\n"
    assert answer(named, format="csv")[1] == b"a\n1\n"


def test_feather():
    """A table with its index, features with geometry and CRS; on a tile those that meet it, in degrees."""
    table = pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2024-01-02", None])}, index=["x", "y"])
    made, body = answer(table, format="feather")
    assert made.media_type == "application/vnd.apache.arrow.file"
    pd.testing.assert_frame_equal(pa.ipc.open_file(body).read_all().to_pandas(), table)
    metres = FRAME.to_crs(3857)
    assert geopandas.read_feather(io.BytesIO(answer(metres, format="feather")[1])).crs == 3857
    found = geopandas.read_feather(io.BytesIO(answer(metres, TILE, format="feather")[1]))
    assert found.crs == 4326 and found["s"].tolist() == ["a"]


def test_excel():
    """A sheet with a header; geometries as WKT, a text that looks like a formula as the text that it is."""
    openpyxl = pytest.importorskip("openpyxl")
    table = pd.DataFrame({"a": [1.5, np.nan], "t": ["=1+1", "é"], "d": pd.to_datetime(["2024-01-02", None])})
    made, body = answer(table, format="excel")
    assert made.media_type.endswith("spreadsheetml.sheet") and not made.coding
    rows = list(openpyxl.load_workbook(io.BytesIO(body)).active.iter_rows())
    assert [cell.value for cell in rows[0]] == ["a", "t", "d"] and rows[1][1].data_type == "s"
    pd.testing.assert_frame_equal(pd.read_excel(io.BytesIO(body)), table, check_dtype=False)
    assert pd.read_excel(io.BytesIO(answer(FRAME, format="excel")[1]))["geometry"][0] == "POINT (10 50)"
    assert pd.read_excel(io.BytesIO(answer(None, format="excel")[1])).empty
    with pytest.raises(BadResultError) as caught:
        answer(pd.DataFrame({"t": pd.to_datetime(["2024-01-02"]).tz_localize("UTC")}), format="excel")
    assert "cannot be written as excel" in caught.value.message


def test_excel_without_its_library(monkeypatch):
    """A sentence that names it."""
    for name in ("openpyxl", "openpyxl.workbook"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FormatNotPossibleError, match="openpyxl"):
        answer(pd.DataFrame({"a": [1]}), format="excel")


def test_a_gif_shows_what_is_there():
    """Colours of a palette, and what has no value transparent."""
    array = np.zeros((3, 8, 8), np.uint8)
    array[:, :, 4:] = [[[250]], [[20]], [[0]]]
    masked = np.ma.masked_array(array, np.broadcast_to(np.arange(8) < 2, array.shape))
    image = Image.open(io.BytesIO(answer(masked, format="gif")[1]))
    assert image.format == "GIF"
    pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[:, :2, 3] == 0).all() and (pixels[:, 2:, 3] == 255).all()
    assert (pixels[0, 3] == [0, 0, 0, 255]).all() and (abs(pixels[0, 7].astype(int) - [250, 20, 0, 255]) < 8).all()


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (np.zeros((8, 8), np.uint8), 'src="data:image/png;base64,iVBOR'),
        (Image.new("RGB", (2, 2)), 'src="data:image/png;base64,iVBOR'),
        (FRAME, "<td>POINT (10 50)</td>"),
        (pd.DataFrame({"<i>": ["<b>"]}), "<td>&lt;b&gt;</td>"),
        ({"a": "<script>"}, "&lt;script&gt;"),
        ({"a": np.zeros(2)}, "[0.0,0.0]"),
        (5, "<pre>5</pre>"),
        (None, "0 rows"),
    ],
)
def test_a_preview(result, shown):
    """A page for every kind, in which nothing but our own markup is markup."""
    made, body = answer(result, format="preview")
    assert made.media_type == "text/html; charset=utf-8" and shown in body.decode()
    assert b"<script>" not in body and b"<b>" not in body


def test_a_preview_of_text_is_the_text():
    """Which is a page already."""
    made, body = answer("<h1>it</h1>", format="preview")
    assert made.authored and body == b"<h1>it</h1>"


def test_a_preview_shows_the_first_rows():
    """And says how many there are."""
    body = answer(pd.DataFrame({"n": range(1500)}), format="preview")[1].decode()
    assert "1,500 rows, the first 1,000 of them" in body and body.count("<td>") == 1000


def test_documents():
    """Text is HTML, data is JSON, ready bodies stay; only what the UDF wrote is authored."""
    assert answer("<b>x</b>")[0].media_type.startswith("text/html") and answer("x")[0].authored
    assert answer("x", format="txt")[1] == b"x"
    assert answer({"a": np.float32(1), "b": np.arange(2)})[1] == b'{"a":1.0,"b":[0,1]}'
    assert answer(np.int64(3))[1] == b"3" and not answer(3)[0].authored
    assert answer(b"%PDF-1")[0].media_type == "application/pdf" and answer(b"?")[0].authored
    assert answer(Response(b"x", "text/x"))[0].media_type == "text/x"


SDK = {"new": ("npy", "tiff", "parquet", "json", "zip"), "old": ("tiff", "parquet")}
"""The lists that the hosted API's SDK sends: 2.x, which reads JSON, and 1.x, which does not."""


@pytest.mark.parametrize(
    ("result", "new", "old"),
    [
        (np.zeros((2, 3)), "npy", "tiff"),
        ((np.zeros((2, 3)), (0, 0, 1, 1)), "tiff", "tiff"),
        (pd.DataFrame({"a": [1]}), "parquet", "parquet"),
        (pd.Series([1, 2]), "parquet", "parquet"),
        (FRAME, "parquet", "parquet"),
        (shapely.Point(1, 2), "parquet", "parquet"),
        (FEATURE, "parquet", "parquet"),
        (pa.table({"a": [1]}), "parquet", "parquet"),
        ({"a": 1}, "json", "parquet"),
        ([1, "a"], "json", "parquet"),
        ({1, 2}, "json", "parquet"),
        ("text", "json", "parquet"),
        (3, "json", "parquet"),
        (True, "json", "parquet"),
        (np.float32(1.5), "json", "parquet"),
        (Image.new("L", (2, 3)), "npy", "tiff"),
        (b"\x89PNG\r\n\x1a\n", "", ""),
        (io.BytesIO(b"x"), "", ""),
        (None, "", ""),
    ],
)
def test_every_result_arrives_in_a_form_that_its_sdk_reads(result, new, old):
    """The first of the list that suits it best."""
    names = {which: answer(result, formats=formats, tiled=False)[0].format for which, formats in SDK.items()}
    assert names == {"new": new, "old": old}


@pytest.mark.parametrize(
    ("result", "row"),
    [
        (3, {"value": 3}),
        (np.int8(-3), {"value": -3}),
        (1.5, {"value": 1.5}),
        (True, {"value": True}),
        ("<é>", {"value": "<é>"}),
        ([1, "a"], {"value": '[1,"a"]'}),
        ({"a": 1, "b": [1, None], "c": {"d": {}}, "e": None}, {"a": 1, "b": "[1,null]", "c": '{"d":{}}', "e": None}),
        ({1: np.arange(2)}, {"1": "[0,1]"}),
        (2**64 - 1, {"value": 2**64 - 1}),
        ({}, {"value": "{}"}),
    ],
)
def test_as_parquet_a_document_is_one_row(result, row):
    """A dict's values by name, else one value; what is nested is JSON."""
    found = pyarrow.parquet.read_table(io.BytesIO(answer(result, format="parquet")[1])).to_pylist()
    assert found == [row]


def test_text_is_html_before_it_is_json():
    """Whatever the order: JSON only quotes it."""
    assert answer("x", formats=("json", "txt", "html"))[0].format == "txt"
    assert answer("x", formats=("parquet", "json"))[1] == b'"x"'


@pytest.mark.parametrize("result", [{"a": 1}, "text", 3])
def test_documents_are_no_spreadsheets(result):
    """Who asks for CSV is told what there is."""
    with pytest.raises(FormatNotPossibleError, match="result cannot be png or csv; ask for "):
        answer(result, formats=("png", "csv"))


def test_files_in_memory_and_sets():
    """A file is its bytes, wherever it stands; a set is a list, and also where a function called for it."""
    stream = io.BytesIO(b"%PDF-1")
    stream.read()
    assert answer(stream)[0].media_type == "application/pdf" and answer(stream)[1] == b"%PDF-1"
    assert answer(stream, exchange=True)[1] == b"%PDF-1"
    assert orjson.loads(answer(frozenset([1]))[1]) == [1] == orjson.loads(answer({1}, exchange=True)[1])


@pytest.mark.parametrize("result", [FRAME, pd.DataFrame(FRAME.to_wkt())])
def test_html_tables(result):
    """As pandas reads them; text is text, nothing is nothing."""
    made, body = answer(result, format="html")
    assert made.media_type.startswith("text/html") and body.startswith(b"<!doctype html>\n<meta charset=")
    assert rows_of(body) == [["n", "s", "geometry"], ["1.5", "a", "POINT (10 50)"], ["", "b", "POINT (-100 0)"]]


def test_html_is_escaped():
    """Values and names of columns; long text and every digit stay."""
    frame = pd.DataFrame({"<b>": ["<script>alert('&')</script>", "é" * 500, 0.1 + 0.2, None]})
    body = answer(frame, format="html")[1]
    assert b"<script" not in body and b"<b>" not in body
    assert [row[0] for row in rows_of(body)] == [
        "<b>", "<script>alert('&')</script>", "é" * 500, "0.30000000000000004", ""
    ]  # fmt: skip


@given(st.lists(st.tuples(st.text(), st.none() | st.text(), st.integers() | st.floats(allow_nan=False))))
def test_html_says_every_value(values):
    """Whatever the text is."""
    frame = pd.DataFrame(values, columns=["a", "b", "c"], dtype=object)
    found = rows_of(answer(frame, format="html")[1])[1:]
    assert found == [[plain(a), plain(b or ""), str(c)] for a, b, c in values]


def plain(text):
    """Text as UTF-8 has it: what it cannot say is a question mark."""
    return text.encode("utf-8", "replace").decode()


def rows_of(body):
    """The texts of the cells."""
    cells = Cells()
    cells.feed(body.decode())
    cells.close()
    return cells.rows


class Cells(html.parser.HTMLParser):
    """Collects what is in `th` and `td`."""

    def __init__(self):
        super().__init__()
        self.rows, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        assert tag in {"meta", "table", "thead", "tbody", "tr", "th", "td"}
        self.inside = tag in ("th", "td")
        if tag == "tr":
            self.rows.append([])
        elif self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("name", ["png", "jpg", "webp"])
@pytest.mark.parametrize("picture", [Image.new("RGB", (40, 30), "red"), matplotlib.figure.Figure(figsize=(1, 1))])
def test_pictures(picture, name):
    """Pictures are written in the format that is asked for."""
    made, body = answer(picture, format=name)
    assert Image.open(io.BytesIO(body)).format == {"jpg": "JPEG"}.get(name, name.upper()) and not made.authored


@pytest.mark.parametrize(
    ("name", "body"),
    [(None, b""), ("mvt", b""), ("json", b"[]"), ("csv", b""),
     ("geojson", b'{"type":"FeatureCollection","features":[]}')],
)  # fmt: skip
def test_nothing(name, body):
    """None is empty in every format."""
    made, found = answer(None, TILE, format=name)
    assert made.empty and made.kind == "" and found == body


@pytest.mark.parametrize("name", ["png", "jpg", "webp", "gif"])
def test_nothing_is_a_blank_picture(name):
    """None as a picture has the tile's size."""
    assert Image.open(io.BytesIO(answer(None, TILE, format=name, size=512)[1])).size == (512, 512)


@pytest.mark.parametrize(("name", "read"), [("parquet", pd.read_parquet), ("feather", pd.read_feather)])
def test_nothing_is_an_empty_file(name, read):
    """None as Parquet or Feather has no rows."""
    assert read(io.BytesIO(answer(None, format=name)[1])).empty


def test_what_cannot_be_served():
    """Messages name what came and what may come."""
    with pytest.raises(BadResultError) as caught:
        answer(object())
    assert caught.value.message.startswith("the function returned an object; return an array")
    with pytest.raises(BadResultError) as caught:
        answer(geopandas.GeoSeries([shapely.Point(5e5, 5e6)]), TILE)
    assert "call set_crs" in caught.value.message
    with pytest.raises(
        FormatNotPossibleError, match="a vector result cannot be png; ask for mvt, geojson, parquet, fe"
    ):
        answer(FRAME, TILE, format="png")
    with pytest.raises(FormatNotPossibleError, match="cannot be html; ask for json, preview, parquet or zip"):
        answer({}, format="html")


def table_of(**columns):
    """A feature for each value."""
    count = len(next(iter(columns.values())))
    return geopandas.GeoDataFrame(columns, geometry=[shapely.Point(10, 50)] * count, crs=4326)


def properties(result, name):
    """The attributes that the features of a tile have."""
    body = answer(result, TILE, format=name)[1]
    if name == "geojson":
        return [each["properties"] for each in orjson.loads(body)["features"]]
    return [each["properties"] for each in mapbox_vector_tile.decode(body)["udf"]["features"]]


@pytest.mark.parametrize("name", ["mvt", "geojson"])
def test_decimals_are_numbers_and_bytes_base64(name):
    """What databases return arrives as something that a style can compare."""
    frame = table_of(price=[Decimal("1.10"), Decimal(3)], key=[b"ab\xff", b""])
    assert properties(frame, name) == [{"price": 1.1, "key": "YWL/"}, {"price": 3.0, "key": ""}]


def test_facts_of_every_kind_of_column():
    """Bytes do no harm, decimals and categories of numbers are numbers."""
    frame = table_of(raw=[b"\xff", None], price=[Decimal("1.5"), None], rank=pd.Categorical([3, 4]), tags=[[1], [2]])
    assert answer(frame, TILE, sample=True)[0].facts["fields"] == {
        "raw": "String", "price": "Number", "rank": "Number", "tags": "String"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["parquet", "csv", "json"])
def test_integers_beside_missing_ones_are_exact(name):
    """An Arrow column of integers with a gap does not become floats."""
    body = answer(pa.table({"n": [2**53 + 1, None]}), format=name)[1]
    if name == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(body)).column("n").to_pylist() == [2**53 + 1, None]
    else:
        assert str(2**53 + 1).encode() in body


@pytest.mark.parametrize("name", ["parquet", "csv", "json", "geojson"])
def test_names_of_columns_are_text(name):
    """Numbers and names of several levels are written; those of two columns must differ."""
    wide = table_of(a=[1], b=[2]).rename(columns={"a": 0})
    assert b"0" in answer(wide, format=name)[1]
    wide.columns = pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("geometry", "")])
    assert b"x_a" in answer(wide, format=name)[1]
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    twice = twice if name != "geojson" else geopandas.GeoDataFrame(twice, geometry=[shapely.Point(10, 50)])
    with pytest.raises(BadResultError) as caught:
        answer(twice, format=name, sample=True)
    assert caught.value.message == "the function returned a table with two columns named 'a'; rename one of them"


@pytest.mark.parametrize(
    ("result", "name", "message"),
    [
        (pd.DataFrame({"a": [1, "x"]}), "parquet", "the function's result cannot be written as parquet: "),
        (pd.DataFrame({"a": [2**70]}), "parquet", "the function's result cannot be written as parquet: "),
        (pd.DataFrame({"a": [2**70]}), "json", "cannot be written as json: Integer exceeds 64-bit range"),
        (table_of(a=[2**70]), "geojson", "cannot be written as geojson: Integer exceeds 64-bit range"),
        (geopandas.GeoDataFrame({"a": [1]}), "mvt", "GeoDataFrame has no active geometry; call set_geometry on it"),
        (FRAME.set_crs('LOCAL_CS["x",UNIT["m",1]]', allow_override=True), "mvt", "does not lead to degrees"),
        (Image.new("L", (0, 3)), "png", "the function returned a picture of 0 x 3 pixels"),
    ],
)
def test_what_a_format_cannot_hold_is_the_results_fault(result, name, message):
    """The author reads what is wrong with the result, not where a library gave up."""
    with pytest.raises(BadResultError) as caught:
        answer(result, TILE, format=name)
    assert message in caught.value.message


def test_an_empty_frame_is_nothing():
    """`GeoDataFrame()` without a geometry says that there is no feature."""
    assert answer(geopandas.GeoDataFrame(), TILE)[0].empty


def test_geojson_keeps_its_crs_and_its_properties():
    """The member `crs` that geopandas writes counts; a property named geometry is one; ids may repeat."""
    written = orjson.loads(FRAME.to_crs(3857).to_json())
    assert written["crs"]["properties"]["name"].endswith("3857")
    assert properties(written, "mvt") == [{"n": 1.5, "s": "a"}]
    odd = FEATURE | {"properties": {"geometry": "square"}}
    assert properties([odd, odd], "geojson") == [{"geometry": "square"}] * 2


def test_json_of_what_has_fields_of_its_own():
    """Named tuples are lists, geometries GeoJSON, in features too."""
    found = orjson.loads(answer({"bounds": TILE.bounds, "place": shapely.Point(1, 2), "price": Decimal("1.5")})[1])
    assert found == {
        "bounds": list(TILE.bounds), "place": {"type": "Point", "coordinates": [1.0, 2.0]}, "price": 1.5
    }  # fmt: skip
    assert orjson.loads(answer(TILE.bounds)[1]) == list(TILE.bounds)
    feature = {"type": "Feature", "geometry": shapely.Point(10, 50), "properties": {}}
    assert answer(feature, TILE)[0].kind == "vector" and not answer(feature, TILE)[0].empty


def test_geojson_of_a_tile_is_what_meets_it():
    """A feature whose box meets the tile, but not its area, is not there; one that only touches the edge is."""
    west, south, east, north = TILE.bounds
    corner = shapely.Polygon([(west - 9, south - 9), (east + 9, south - 9), (west - 9, south - 8)])
    around = shapely.union_all([corner, shapely.box(west - 9, south - 9, west - 8, north + 9)])
    frame = geopandas.GeoDataFrame(geometry=[around, shapely.box(east, south, east + 1, north)], crs=4326)
    assert [each["id"] for each in orjson.loads(answer(frame, TILE, format="geojson")[1])["features"]] == [1]


@pytest.mark.parametrize("column", [0, 1])
def test_geojson_of_a_tile_reaches_over_the_180th_meridian(column):
    """A feature beyond the meridian meets the tiles on both sides."""
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(170, -10, 190, 10), shapely.Point(0, 0)], crs=4326)
    found = orjson.loads(answer(frame, Tile(1, column, 0), format="geojson")[1])["features"]
    assert 0 in {each["id"] for each in found}
    assert not orjson.loads(answer(frame, Tile(3, 4, 2), format="geojson")[1])["features"]


def test_nothing_heavy_is_loaded():
    """The package itself loads no library of rasters, vectors or tables."""
    code = "import sys, tileserver.encode as _; sys.exit(bool({'numpy', 'geopandas', 'rasterio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
