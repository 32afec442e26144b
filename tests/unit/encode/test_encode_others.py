"""Vectors as text, tables, documents, nothing at all, and what cannot be served."""

import gzip
import io
import subprocess
import sys

import geopandas
import matplotlib.figure
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
import shapely
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
    made = encode(result, Output(**options), tile, limit=10_000_000, sample=sample)
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


def test_geoparquet_metadata_is_read():
    """An Arrow table as GeoParquet holds it is a vector."""
    stream = io.BytesIO(answer(FRAME, format="parquet")[1])
    assert geopandas.read_parquet(stream).equals(FRAME)
    stream.seek(0)
    import pyarrow.parquet

    assert answer(pyarrow.parquet.read_table(stream), TILE)[0].kind == "vector"


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


def test_documents():
    """Text is HTML, data is JSON, ready bodies stay; only what the UDF wrote is authored."""
    assert answer("<b>x</b>")[0].media_type.startswith("text/html") and answer("x")[0].authored
    assert answer("x", format="txt")[1] == b"x"
    assert answer({"a": np.float32(1), "b": np.arange(2)})[1] == b'{"a":1.0,"b":[0,1]}'
    assert answer(np.int64(3))[1] == b"3" and not answer(3)[0].authored
    assert answer(b"%PDF-1")[0].media_type == "application/pdf" and answer(b"?")[0].authored
    assert answer(Response(b"x", "text/x"))[0].media_type == "text/x"


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


@pytest.mark.parametrize("name", ["png", "jpg", "webp"])
def test_nothing_is_a_blank_picture(name):
    """None as a picture has the tile's size."""
    assert Image.open(io.BytesIO(answer(None, TILE, format=name, size=512)[1])).size == (512, 512)


def test_nothing_is_an_empty_parquet_file():
    """None as Parquet has no rows."""
    assert pd.read_parquet(io.BytesIO(answer(None, format="parquet")[1])).empty


def test_what_cannot_be_served():
    """Messages name what came and what may come."""
    with pytest.raises(BadResultError) as caught:
        answer(object())
    assert caught.value.message.startswith("the function returned an object; return an array")
    with pytest.raises(BadResultError) as caught:
        answer(geopandas.GeoSeries([shapely.Point(5e5, 5e6)]), TILE)
    assert "call set_crs" in caught.value.message
    with pytest.raises(
        FormatNotPossibleError, match="a vector result cannot be png; ask for mvt, geojson, parquet, cs"
    ):
        answer(FRAME, TILE, format="png")
    with pytest.raises(FormatNotPossibleError, match="a data result cannot be html; ask for json"):
        answer({}, format="html")


def test_nothing_heavy_is_loaded():
    """The package itself loads no library of rasters, vectors or tables."""
    code = "import sys, tileserver.encode as _; sys.exit(bool({'numpy', 'geopandas', 'rasterio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
