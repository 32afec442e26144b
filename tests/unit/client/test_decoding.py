"""Bodies as objects: what is read equals what another library wrote."""

import io
import json
import subprocess
import sys
import zipfile

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import rasterio
from geopandas.testing import assert_geodataframe_equal
from PIL import Image
from rasterio.transform import from_bounds
from shapely.geometry import Point, box

from tileserver.client import decode

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
RANDOM = np.random.default_rng(4)
FRAME = gpd.GeoDataFrame({"name": ["a", None]}, geometry=[Point(1, 2), box(0, 0, 1, 1)], crs=4326)


def written(picture: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def tiff(array: np.ndarray, *, tags: dict[str, object] | None = None, **profile: object) -> bytes:
    count, height, width = array.shape
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", dtype=array.dtype, count=count, height=height, width=width, **profile) as file:
            file.write(array)
            file.update_tags(ns="fused", **{name: json.dumps(value) for name, value in (tags or {}).items()})
        return bytes(memory.getbuffer())


@pytest.mark.parametrize(("mode", "count"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_pictures_have_their_bands_first(mode: str, count: int) -> None:
    """PNG and WebP keep every pixel."""
    pixels = RANDOM.integers(0, 256, (5, 7, count), np.uint8)
    pixels[..., -1] = pixels[..., -1] | 1  # nothing quite transparent, whose colour WebP may change
    picture = Image.fromarray(pixels if count > 1 else pixels[..., 0])
    assert picture.mode == mode
    assert np.array_equal(decode(written(picture, "png"), "image/png"), np.moveaxis(pixels, 2, 0))
    if count > 2:
        assert np.array_equal(decode(written(picture, "webp", lossless=True), "image/webp"), np.moveaxis(pixels, 2, 0))


def test_a_gif_becomes_colours() -> None:
    """Those of its palette, opaque or not."""
    picture = Image.new("RGBA", (3, 2), (250, 20, 0, 255))
    found = decode(written(picture, "gif"), "image/gif")
    assert found.shape[1:] == (2, 3)
    assert found[:3, 0, 0].tolist() == [250, 20, 0]


def test_other_pictures() -> None:
    """Sixteen bits stay, palettes and bits become colours, JPEG is near."""
    deep = RANDOM.integers(0, 2**16, (4, 3), np.uint16)
    found = decode(written(Image.fromarray(deep), "png"), "image/png")
    assert found.dtype == np.uint16
    assert np.array_equal(found[0], deep)
    colours = Image.new("P", (2, 1))
    colours.putpalette([10, 20, 30, 40, 50, 60])
    colours.putpixel((1, 0), 1)
    assert decode(written(colours, "png"), "image/png")[:, 0, 1].tolist() == [40, 50, 60]
    assert decode(written(colours, "png", transparency=0), "image/png")[3].tolist() == [[0, 255]]
    assert decode(written(Image.new("1", (1, 1), 1), "png"), "image/png").tolist() == [[[255]]]
    grey = decode(written(Image.new("RGB", (8, 8), (90, 90, 90)), "jpeg"), "image/jpeg")
    assert grey.shape == (3, 8, 8)
    assert abs(int(grey.mean()) - 90) < 3


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "bool"])
def test_npy_keeps_type_and_shape(dtype: str) -> None:
    """Of any number of axes."""
    array = RANDOM.integers(0, 2, (2, 3, 4, 5)).astype(dtype)
    stream = io.BytesIO()
    np.save(stream, array)
    found = decode(stream.getvalue(), "application/x-numpy-data")
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_npy_runs_no_pickle() -> None:
    """An array of objects is refused."""
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        decode(stream.getvalue(), "application/x-numpy-data")


def test_tiffs_with_and_without_a_place() -> None:
    """An array, or a pair with bounds in degrees."""
    array = RANDOM.random((2, 4, 6)).astype(np.float32)
    assert np.array_equal(decode(tiff(array), "image/tiff"), array)
    metres = from_bounds(0, 0, 111319.49, 111325.14, 6, 4)
    found, bounds = decode(tiff(array, crs=3857, transform=metres), "image/tiff")
    assert np.array_equal(found, array)
    assert bounds == pytest.approx((0, 0, 1, 1), abs=1e-6)


def test_tiffs_of_the_hosted_api() -> None:
    """Tags say shape and bounds; an array drawn on a tile stays an array."""
    array, place = RANDOM.random((1, 4, 6)), {"crs": 4326, "transform": from_bounds(0, 0, 6, 4, 6, 4)}
    found, bounds = decode(tiff(array, tags={"shape": [4, 6], "bounds": [1, 2, 3, 4]}, **place), "image/tiff")
    assert (found.shape, bounds) == ((4, 6), (1, 2, 3, 4))
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", dtype="float64", count=1, height=4, width=6, **place) as file:
            file.write(array)
            file.update_tags(ns="fused", orig_type="numpy.ndarray", shape="[1, 4, 6]")
        assert np.array_equal(decode(bytes(memory.getbuffer()), "image/tiff"), array)


def test_missing_values_of_a_tiff_are_masked() -> None:
    """By the value that stands for nothing."""
    array = np.array([[[1, 2], [-9, 4]]], np.int16)
    found = decode(tiff(array, nodata=-9), "image/tiff")
    assert found.mask.tolist() == [[[False, False], [True, False]]]
    assert not np.ma.isMaskedArray(decode(tiff(array), "image/tiff"))


def test_tables() -> None:
    """Parquet with and without a geometry, CSV, and a table of nothing."""
    table = pd.DataFrame({"n": [1, 2], "text": ["a", None]}, index=["x", "y"])
    pd.testing.assert_frame_equal(decode(table.to_parquet(), "application/vnd.apache.parquet"), table)
    stream = io.BytesIO()
    FRAME.to_parquet(stream)
    assert_geodataframe_equal(decode(stream.getvalue(), "application/vnd.apache.parquet"), FRAME)
    found = decode(table.to_csv(index=False).encode(), "text/csv; charset=utf-8")
    assert found["n"].tolist() == [1, 2]
    assert decode(b"\n", "text/csv").empty


def test_geojson() -> None:
    """Degrees, indexed by the ids; a collection of nothing has a geometry still."""
    moved = FRAME.set_index(pd.Index([7, 9]))
    found = decode(moved.to_json().encode(), "application/geo+json")
    assert [int(each) for each in found.index] == [7, 9]
    assert_geodataframe_equal(found.reset_index(drop=True), FRAME, check_like=True)
    empty = decode(b'{"type":"FeatureCollection","features":[]}', "application/geo+json")
    assert (len(empty), empty.crs.to_epsg()) == (0, 4326)


def test_vector_tiles() -> None:
    """Layers by name."""
    layer = {"name": "udf", "features": [{"geometry": Point(5, 6), "properties": {"a": 1}, "id": 3}]}
    body = mapbox_vector_tile.encode([layer])
    found = decode(body, "application/vnd.mapbox-vector-tile")
    assert found == mapbox_vector_tile.decode(body)
    assert found["udf"]["features"][0]["properties"] == {"a": 1}


@pytest.mark.parametrize(
    ("body", "media_type", "found"),
    [
        (b'{"a": [1, null]}', "application/json", {"a": [1, None]}),
        ("é".encode(), "text/html; charset=utf-8", "é"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("é".encode(), "text/plain; charset=nonsense", "é"),
        ("é".encode(), 'TEXT/plain; a=b; charset="utf-8"', "é"),
        (b"%PDF", "application/pdf", b"%PDF"),
        (b"PAR1", "application/octet-stream", b"PAR1"),
        (b"", "image/png", None),
        (b"x", "", b"x"),
    ],
)
def test_data_text_and_bytes(body: bytes, media_type: str, found: object) -> None:
    """By the media type alone."""
    assert decode(body, media_type) == found


def test_a_zip_of_parts() -> None:
    """Each by its own type; a zip that says nothing of them is bytes."""
    stream, other = io.BytesIO(), io.BytesIO()
    types = {"t": {"content_type": "application/octet-stream"}, "d": {"content_type": "application/json"}}
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("meta.json", json.dumps({"files": types}))
        file.writestr("t", pd.DataFrame({"n": [1]}).to_parquet())
        file.writestr("d", "[1]")
    found = decode(stream.getvalue(), "application/zip")
    assert (found["t"]["n"].tolist(), found["d"]) == ([1], [1])
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("a", "b")
    assert decode(other.getvalue(), "application/zip") == other.getvalue()


def test_a_library_that_is_missing_is_named() -> None:
    """In one sentence that says what to install."""
    code = (
        "import sys; sys.modules['mapbox_vector_tile'] = None\n"
        "from tileserver.client import decode\n"
        "decode(b'x', 'application/vnd.mapbox-vector-tile')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = ended.stderr.splitlines()[-1]
    assert "SetupError: a vector tile is read with mapbox-vector-tile" in last
    assert "pip install mapbox-vector-tile" in last
