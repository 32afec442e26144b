"""Dicts of results as a zip: zipfile opens it, and each part is read by its own library."""

import gzip
import io
import json
import zipfile

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import xarray
from PIL import Image
from rasterio.io import MemoryFile

from tileserver.encode import encode
from tileserver.errors import BadResultError, FormatNotPossibleError
from tileserver.formats import Response
from tileserver.jobs import Output

SDK = ("npy", "tiff", "parquet", "json", "zip")
"""What the server makes of the list that the hosted API's SDK sends."""


def answer(result, formats=SDK):
    """The answer, as a file."""
    return encode(result, Output(formats=formats, tiled=False), None, limit=10_000_000)


def unzipped(result, formats=SDK):
    """Media types and bodies by name."""
    made = answer(result, formats)
    assert (made.format, made.media_type, made.coding) == ("zip", "application/zip", "")
    with zipfile.ZipFile(io.BytesIO(made.body)) as file:
        assert file.testzip() is None
        types = json.loads(file.read("meta.json"))["files"]
        assert file.namelist() == ["meta.json", *types]
        return {name: (one["content_type"], file.read(name)) for name, one in types.items()}


def test_each_part_is_in_its_own_best_format():
    """With media types as the SDK compares them."""
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(600000, 200000)], crs=2056)
    parts = {
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "placed": (np.zeros((2, 3), np.uint8), (0, 0, 3, 2)),
        "grid": xarray.DataArray(np.zeros((2, 3)), dims=("y", "x")),
        "table": pd.DataFrame({"a": [1, 2]}),
        "arrow": pa.table({"b": ["x"]}),
        "features": frame,
        "a point": shapely.Point(1, 2),
        "text": "ä",
        "number": np.float32(1.5),
        "list": [1, None],
        "nothing": None,
        "picture": Image.new("RGB", (2, 2)),
        "bytes": b"%PDF-1",
        "own": Response(b"x", "text/x; charset=utf-8"),
    }
    found = unzipped(parts)
    assert {name: kind for name, (kind, _) in found.items()} == {
        "array": "application/x-numpy-data", "placed": "image/tiff", "grid": "image/tiff",
        "table": "application/octet-stream", "arrow": "application/octet-stream",
        "features": "application/octet-stream", "a point": "application/octet-stream",
        "text": "application/json", "number": "application/json", "list": "application/json",
        "nothing": "application/json", "picture": "image/png", "bytes": "application/pdf", "own": "text/x",
    }  # fmt: skip
    bodies = {name: body for name, (_, body) in found.items()}
    array = np.load(io.BytesIO(bodies["array"]))
    assert array.dtype == np.int16 and np.array_equal(array, parts["array"])
    with MemoryFile(bodies["placed"]) as memory, memory.open() as file:
        assert tuple(file.bounds) == (0, 0, 3, 2)
    assert pd.read_parquet(io.BytesIO(bodies["table"])).equals(parts["table"])
    assert geopandas.read_parquet(io.BytesIO(bodies["features"])).equals(frame)
    assert [json.loads(bodies[name]) for name in ("text", "number", "list")] == ["ä", 1.5, [1, None]]
    assert bodies["nothing"] == b"" and bodies["bytes"] == b"%PDF-1"


def test_only_what_json_has_no_form_for_makes_a_zip():
    """Unless nothing else was asked for; a part may be such a dict itself, and is JSON then."""
    assert answer({"a": 1, "b": {"c": [1]}}).format == "json"
    assert json.loads(unzipped({"a": 1}, ("zip",))["a"][1]) == 1
    nested = unzipped({"a": {"b": np.arange(2), "t": pd.DataFrame({"x": [1]})}, "c": np.arange(2)})
    assert nested["a"] == ("application/json", b'{"b":[0,1],"t":[{"x":1}]}')


def test_without_a_zip_a_dict_is_json_or_one_row():
    """Arrays are lists, tables records."""
    parts = {"a": np.arange(2), "t": pd.DataFrame({"x": [1.5, np.nan]}), "n": 1}
    expected = {"a": [0, 1], "t": [{"x": 1.5}, {"x": None}], "n": 1}
    assert json.loads(gzip.decompress(answer(parts, ("png", "json")).body)) == expected
    row = pd.read_parquet(io.BytesIO(answer(parts, ("tiff", "parquet")).body)).iloc[0]
    assert (json.loads(row["a"]), json.loads(row["t"]), row["n"]) == (expected["a"], expected["t"], 1)


@pytest.mark.parametrize("result", [[1], 3, {1: 2}, {1: np.arange(3)}])
def test_what_has_no_names_is_no_zip(result):
    """The sentence says what there is instead."""
    with pytest.raises(FormatNotPossibleError, match="a data result cannot be zip; ask for json, preview or parquet"):
        answer(result, ("zip",))


@pytest.mark.parametrize("name", ["meta.json", "", ".", "..", "../a", "a/b", "a\\b", "a\0b", "a\nb", "x" * 256])
def test_no_part_has_a_name_that_leads_elsewhere(name):
    """A client may unpack it into a folder."""
    with pytest.raises(BadResultError) as caught:
        answer({name: np.zeros(2)})
    assert "which cannot be the name of a file" in caught.value.message


@pytest.mark.parametrize("name", ["a.b", "...", "ä b", "日本", ".hidden"])
def test_other_names_come_back(name):
    """They are the keys of the dict that the SDK gives."""
    assert list(unzipped({name: np.zeros(2)})) == [name]


def test_equal_results_are_equal_bytes():
    """No time of day is in it."""
    body = answer({"a": np.zeros(9)}).body
    assert body == answer({"a": np.zeros(9)}).body
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        assert {each.date_time[0] for each in file.infolist()} == {1980}


def test_a_part_that_cannot_be_served_fails_the_whole():
    """By the sentence of its own kind."""
    for part, message in ((np.array([{}]), "holds Python objects"), (object(), "the function returned an object")):
        with pytest.raises(BadResultError) as caught:
            answer({"a": np.zeros(2), "b": part})
        assert message in caught.value.message
