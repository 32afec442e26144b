"""What a function returns, and what the SDK makes of it on the other side of the server: the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from geopandas.testing import assert_geodataframe_equal
from server import Running, serving

from tileserver import Client
from tileserver.client import Udf


def gives(which: str = "floats"):
    """A result of any sort."""
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    from PIL import Image
    from shapely.geometry import Point, box

    numbers = np.arange(24).reshape(2, 3, 4)
    table = pd.DataFrame({"n": [1, 2], "x": [0.5, None], "t": ["a", "é"], "d": pd.to_datetime(["2024-01-02", None])})
    features = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=[Point(1, 2), box(0, 0, 1, 1)], crs=4326)
    return {
        "floats": numbers * np.float32(0.1),
        "flat": numbers[0].astype("int16"),
        "many": np.arange(2000, dtype="uint16").reshape(5, 20, 20),
        "masked": np.ma.masked_equal(numbers.astype("int32"), 5),
        "placed": (numbers.astype("float64"), (1.0, 2.0, 3.0, 4.0)),
        "table": table,
        "indexed": table.set_index("t"),
        "features": features,
        "metres": features.to_crs(3857),
        "data": {"a": [1, None, {"b": True}], "c": "é"},
        "list": [1, 2, 3],
        "number": 4.5,
        "text": "<b>é</b>",
        "picture": Image.new("RGB", (3, 2), (1, 2, 3)),
        "parts": {"array": numbers, "table": table},
        "bytes": b"\x00\x01",
        "nothing": None,
    }[which]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with nothing to serve yet."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "udfs").mkdir()
    with serving(folder / "udfs", data=folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(own: Running) -> Iterator[Client]:
    """The owner's."""
    with Client(own.url, own.private_token) as client:
        yield client


@pytest.fixture(scope="module")
def pushed(client: Client) -> Udf:
    """The function above, as it stands there."""
    return client.push(gives)


@pytest.mark.parametrize("which", ["floats", "flat", "many", "masked"])
def test_arrays(client: Client, pushed: Udf, which: str) -> None:
    """Type, shape, values, and which are missing."""
    found, meant = client.run(pushed, which=which), gives(which)
    assert (found.dtype, found.shape) == (meant.dtype, meant.shape)
    assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(meant))
    assert np.array_equal(np.ma.filled(found, 0), np.ma.filled(meant, 0))


def test_arrays_with_a_place(client: Client, pushed: Udf) -> None:
    """The pair."""
    (found, bounds), (meant, place) = client.run(pushed, which="placed"), gives("placed")
    assert np.array_equal(found, meant)
    assert bounds == place


@pytest.mark.parametrize("which", ["table", "indexed"])
def test_tables(client: Client, pushed: Udf, which: str) -> None:
    """Columns with their types, and the index."""
    pd.testing.assert_frame_equal(client.run(pushed, which=which), gives(which))


@pytest.mark.parametrize("which", ["features", "metres"])
def test_features(client: Client, pushed: Udf, which: str) -> None:
    """Geometry and CRS."""
    assert_geodataframe_equal(client.run(pushed, which=which), gives(which))


def test_features_as_text(client: Client, pushed: Udf) -> None:
    """GeoJSON is the same features; CSV the table."""
    assert_geodataframe_equal(
        client.run(pushed, which="metres", format="geojson"),
        gives("features"),
        check_like=True,
        check_less_precise=True,
    )
    found, meant = client.run(pushed, which="table", format="csv"), gives("table")
    assert found["n"].tolist() == meant["n"].tolist()
    assert found["t"].tolist() == meant["t"].tolist()


@pytest.mark.parametrize("which", ["data", "list", "number", "text", "bytes", "nothing"])
def test_data_text_and_nothing(client: Client, pushed: Udf, which: str) -> None:
    """As they were."""
    found: Any = client.run(pushed, which=which)
    assert found == gives(which)


@pytest.mark.parametrize("extension", [None, "png", "webp"])
def test_pictures(client: Client, pushed: Udf, extension: str | None) -> None:
    """Their pixels, bands first."""
    found = client.run(pushed, which="picture", format=extension, quality=100)
    assert found.shape[1:] == (2, 3)
    assert np.abs(found[:3].astype(int) - np.array([1, 2, 3])[:, None, None]).max() <= 3


def test_parts(client: Client, pushed: Udf) -> None:
    """Each of a dict's, as if it were alone."""
    found, meant = client.run(pushed, which="parts"), gives("parts")
    assert np.array_equal(found["array"], meant["array"])
    pd.testing.assert_frame_equal(found["table"], meant["table"])


def test_a_raster_layer_in_each_format(client: Client, tmp_path: Path) -> None:
    """On a tile: npy and TIFF are the values, PNG what a map shows of them."""

    def ramp(tile, low: int = 0):
        import numpy as np

        return (np.arange(tile.size * tile.size, dtype="uint16") % 200 + low).reshape(tile.size, tile.size)

    pushed = client.push(ramp)
    values = client.run(pushed, tile=(1, 0, 0), low=3)
    assert values.dtype == np.uint16
    assert values.shape == (256, 256)
    assert values[0, :3].tolist() == [3, 4, 5]
    assert np.array_equal(client.run(pushed, tile=(1, 0, 0), low=3, format="tiff"), values)
    assert client.tile(pushed, (1, 0, 0), "png", rescale="0,255", low=3).data[0, 0, :3].tolist() == [3, 4, 5]
