"""Formats on a real server: by kind, by list and by family, as the hosted API's clients ask for them."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import httpx
import numpy as np
import pandas as pd
import pytest
from rasterio.io import MemoryFile
from server import Running, serving

RESULT = """
import geopandas, numpy as np, pandas as pd, shapely
from tileserver import udf

RESULTS = {
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "masked": np.ma.masked_equal(np.arange(6, dtype=np.uint8).reshape(2, 3), 3),
    "line": np.arange(3),
    "placed": (np.arange(6, dtype=np.float32).reshape(2, 3), (8, 46, 11, 48)),
    "features": geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(10, 50)], crs=4326),
    "table": pd.DataFrame({"a": [1, 2]}),
    "dict": {"a": 1, "b": [2]},
    "parts": {"array": np.arange(3), "table": pd.DataFrame({"a": [1]})},
    "text": "<b>text</b>",
    "number": np.float32(1.5),
    "nothing": None,
}

@udf(minzoom=1)
def result(what: str = "DEFAULT"):
    return RESULTS[what]
"""
KINDS = {"raster": "array", "vector": "features", "table": "table", "document": "dict"}
NEW = {"format": "npy,tiff,parquet,json"}
OLD = {"dtype_out_vector": "parquet", "dtype_out_raster": "tiff"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the same function as a layer of each kind, which says so by what it returns by default."""
    folder = tmp_path_factory.mktemp("udfs")
    for kind, what in KINDS.items():
        (folder / f"{kind}.py").write_text(RESULT.replace("DEFAULT", what).replace("def result", f"def {kind}"))
    with serving(folder, data=tmp_path_factory.mktemp("formats") / "data") as running:
        yield running


def ask(running: Running, what: str, layer: str = "document", place: str = "/run/file", **query: str) -> httpx.Response:
    """What the hosted API's route answers."""
    with running.client() as client:
        token = running.token(layer)
        return client.get(f"/server/v1/realtime-shared/{token}{place}", params={"what": what, **query})


def read_tiff(body: bytes) -> tuple[Any, dict[str, str]]:
    with MemoryFile(body) as memory, memory.open() as file:
        return file.read(masked=True), file.tags(ns="fused")


@pytest.mark.parametrize("layer", KINDS)
@pytest.mark.parametrize(
    ("what", "new", "old"),
    [
        ("array", "application/x-numpy-data", "image/tiff"),
        ("masked", "image/tiff", "image/tiff"),
        ("line", "application/x-numpy-data", None),
        ("placed", "image/tiff", "image/tiff"),
        ("features", "application/octet-stream", "application/octet-stream"),
        ("table", "application/octet-stream", "application/octet-stream"),
        ("dict", "application/json", "application/octet-stream"),
        ("parts", "application/zip", "application/octet-stream"),
        ("text", "application/json", "application/octet-stream"),
        ("number", "application/json", "application/octet-stream"),
        ("nothing", "application/json", "application/json"),
    ],
)
def test_each_sdk_reads_every_result(running: Running, layer: str, what: str, new: str, old: str | None) -> None:
    """Whatever the layer is known to return: the result decides; None is no byte and status 200."""
    for query, media_type in ((NEW, new), (OLD, old)):
        answer = ask(running, what, layer, **query)
        assert answer.status_code == (200 if media_type else 422), answer.text
        assert media_type in (None, answer.headers["content-type"])
        assert bool(answer.content) is (what != "nothing")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_arrives_is_what_was_returned(running: Running) -> None:
    """Type, mask, place, columns and names."""
    array = np.load(io.BytesIO(ask(running, "array", **NEW).content), allow_pickle=False)
    assert array.dtype == np.int16 and array.tolist() == [[0, 1, 2], [3, 4, 5]]
    found, tags = read_tiff(ask(running, "placed", **NEW).content)
    assert found.dtype == np.float32 and json.loads(tags["bounds"]) == [8, 46, 11, 48]
    assert read_tiff(ask(running, "masked", **NEW).content)[0].mask.sum() == 1
    frame = geopandas.read_parquet(io.BytesIO(ask(running, "features", **NEW).content))
    assert frame.crs == 4326 and frame["n"].tolist() == [1]
    assert ask(running, "text", **NEW).json() == "<b>text</b>" and ask(running, "number", **NEW).json() == 1.5
    row = pd.read_parquet(io.BytesIO(ask(running, "dict", **OLD).content)).iloc[0]
    assert (row["a"], row["b"]) == (1, "[2]")
    with zipfile.ZipFile(io.BytesIO(ask(running, "parts", **NEW).content)) as file:
        types = json.loads(file.read("meta.json"))["files"]
        assert types == {"array": {"content_type": "application/x-numpy-data"},
                         "table": {"content_type": "application/octet-stream"}}  # fmt: skip
        assert np.load(io.BytesIO(file.read("array"))).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("layer", "media_type"),
    [
        ("raster", "image/png"),
        ("vector", "application/octet-stream"),
        ("table", "application/octet-stream"),
        ("document", "application/json"),
    ],
)
def test_who_asks_for_no_format_gets_the_usual_one(running: Running, layer: str, media_type: str) -> None:
    """A picture, else Parquet, on the hosted API's file route; text is a page."""
    answer = ask(running, KINDS[layer], layer)
    assert answer.headers["content-type"] == media_type
    page = ask(running, "text")
    assert page.headers["content-type"] == "text/html" and "sandbox" in page.headers["content-security-policy"]


@pytest.mark.parametrize("place", ["/run/file", "/run/tiles/3/4/2"])
@pytest.mark.parametrize("what", ["dict", "text", "number"])
def test_a_document_is_no_spreadsheet(running: Running, what: str, place: str) -> None:
    """Whoever asks for CSV is told what there is, and not given something else."""
    answer = ask(running, what, place=place, dtype_out_vector="csv")
    assert (answer.status_code, answer.json()["code"]) == (422, "format_not_possible")
    assert "json" in answer.json()["detail"]


def test_a_table_is_a_page_and_a_features_attributes_too(running: Running) -> None:
    """HTML that we wrote is sandboxed all the same."""
    with running.client() as client:
        answer = client.get(f"/files/{running.token('vector')}.html")
    assert "<td>POINT (10 50)</td>" in answer.text and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_csv_of_the_hosted_api_has_the_index(running: Running) -> None:
    """As its documentation shows it; ours begins with the first column."""
    hosted = ask(running, "features", dtype_out_vector="csv")
    assert hosted.text.startswith(",") and hosted.headers["content-type"] == "text/csv"
    with running.client() as client:
        ours = client.get(f"/files/{running.token('vector')}.csv")
    assert [line.partition(",")[2] for line in hosted.text.splitlines()] == ours.text.splitlines()


BROWSER = {"accept": "text/html,application/xhtml+xml,image/avif,*/*;q=0.8"}


@pytest.mark.parametrize(
    "place", ["/files/{}", "/server/v1/realtime-shared/{}/run/file", "/server/v1/realtime-shared/{}/run"]
)
@pytest.mark.parametrize(
    ("layer", "shown"), [("raster", "data:image/png"), ("vector", "POINT (10 50)"), ("table", "<td>")]
)
def test_a_browser_sees_a_page(running: Running, place: str, layer: str, shown: str) -> None:
    """Only where nobody names a format; others get what they get, whoever came first, and caches are told."""
    path = place.format(running.token(layer))
    with running.client() as client:
        for _ in range(2):
            plain, page = client.get(path), client.get(path, headers=BROWSER)
            assert "text/html" not in plain.headers["content-type"]
            assert page.headers["content-type"].startswith("text/html") and shown in page.text
            assert page.headers["content-security-policy"] == "sandbox allow-scripts"
            assert plain.headers["vary"] == page.headers["vary"] == "Accept-Encoding, Accept"
        assert client.get(path, params={"format": "npy,parquet"}, headers=BROWSER).content[:4] in (b"\x93NUM", b"PAR1")
        assert "application/json" in client.get(f"{path}?{'a=1&' * 300}", headers=BROWSER).headers["content-type"]


def test_a_browser_sees_tiles_as_they_are(running: Running) -> None:
    """And files with an extension."""
    with running.client() as client:
        tile = client.get(f"/tiles/{running.token('raster')}/1/1/0", headers=BROWSER)
        file = client.get(f"/files/{running.token('raster')}.gif", headers=BROWSER)
    assert (tile.headers["content-type"], file.headers["content-type"]) == ("image/png", "image/gif")
    assert tile.headers["vary"] == file.headers["vary"] == "Accept-Encoding"


def test_tiles_have_their_place(running: Running) -> None:
    """A GeoTIFF tile of an array lies on the tile."""
    with running.client() as client:
        answer = client.get(f"/tiles/{running.token('raster')}/1/1/0.tif")
    assert answer.headers["content-type"] == "image/tiff"
    with MemoryFile(answer.content) as memory, memory.open() as file:
        assert file.bounds == pytest.approx((0, 0, 20037508.34, 20037508.34)) and file.crs == "EPSG:3857"


@pytest.mark.parametrize(
    ("layer", "query", "status", "media_type"),
    [
        ("raster", {}, 200, "image/png"),
        ("raster", NEW, 200, "application/json"),
        ("raster", {"dtype_out_raster": "webp", "dtype_out_vector": "mvt"}, 200, "image/webp"),
        ("vector", {"dtype_out_raster": "webp", "dtype_out_vector": "mvt"}, 204, "application/json"),
        ("vector", OLD, 200, "application/json"),
        ("vector", {"format": "geojson"}, 200, "application/geo+json"),
    ],
)
@pytest.mark.parametrize("tile", ["3/4/2", "0/0/0"])
def test_nothing_on_a_tile(
    running: Running, layer: str, query: dict[str, str], status: int, media_type: str, tile: str
) -> None:
    """What maps read, or no byte for the SDK; whether the function found nothing or was not asked."""
    answer = ask(running, "nothing", layer, f"/run/tiles/{tile}", **query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, media_type)


@pytest.mark.parametrize(("names", "end"), [("webp", ".webp"), ("npy,tiff", ".png"), ("../../x", ".png")])
def test_a_template_has_the_format_where_it_is_one(running: Running, names: str, end: str) -> None:
    """A list, or what is no format, leaves the usual one."""
    with running.client() as client:
        found = client.get(f"/tiles/{running.token('raster')}/tilejson.json", params={"format": names}).json()
    assert f"/{{z}}/{{x}}/{{y}}{end}?" in found["tiles"][0]


def test_an_answer_is_the_same_by_any_spelling(running: Running) -> None:
    """The canonical list is what the cache knows."""
    ask(running, "array", format="tif,npy")
    again = ask(running, "array", format="TIFF, npy ,npy")
    assert again.headers["cache-status"].startswith("tileserver; hit")
    other = ask(running, "array", format="npy,tiff")
    assert other.headers["content-type"] == "application/x-numpy-data"


def test_who_names_a_format_waits_for_no_first_look(tmp_path: Path) -> None:
    """A run that never ends would tell the kind; nobody needs it."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    code = RESULT.replace("DEFAULT", "hang").replace("return", 'while what == "hang": pass\n    return')
    (folder / "result.py").write_text(code)
    with serving(folder, data=tmp_path / "data", TILESERVER_WORKERS="2") as running:
        answer = ask(running, "array", "result", **OLD)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/tiff")
