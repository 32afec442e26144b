"""Archives of tiles, and what the cache says of itself: on a real server, read by the library of PMTiles."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from commands import features
from PIL import Image
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, TileType
from server import Running, serving
from typer.testing import CliRunner

from tileserver.cli import app, cache, export
from tileserver.client import AsyncClient, Client
from tileserver.errors import FormatNotPossibleError, NotFoundError, SetupError
from tileserver.tiles import Bounds, along_curve, covering

BOX = (5.0, 45.0, 9.0, 48.0)
CELLS = '''
import geopandas, shapely
from tileserver import udf

@udf(maxzoom=20, attribution="made up", bounds=(6, 45, 9, 48))
def cells(tile, label: str = "a") -> geopandas.GeoDataFrame:
    """Cells of the world."""
    columns = {"zoom": [tile.z], "label": [label]}
    return geopandas.GeoDataFrame(columns, geometry=[shapely.box(*tile.bounds).buffer(-1e-6)], crs=4326)
'''
GREY = """
import numpy as np
from tileserver import udf

@udf(maxzoom=20)
def grey(tile) -> np.ndarray:
    return np.full((tile.size, tile.size), 40 * (tile.x % 3), np.uint8)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two processes."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "cells.py").write_text(CELLS)
    (folder / "grey.py").write_text(GREY)
    with serving(folder, data=folder / "data", arguments=("--processes", "2")) as server:
        yield server


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    """The owner's."""
    with Client(running.url, running.private_token) as owner:
        yield owner


def opened(path: Path) -> Reader:
    return Reader(MmapSource(path.open("rb")))


def tiles_of(bounds: tuple[float, float, float, float], zooms: range) -> set[tuple[int, int, int]]:
    rectangles = [(zoom, *pair) for zoom in zooms for pair in covering(Bounds(*bounds), zoom)]
    return {(t.z, t.x, t.y) for zoom, columns, rows in rectangles for t in along_curve(columns, rows, zoom)}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_vector_tiles(running: Running, client: Client, tmp_path: Path) -> None:
    """Each is the one that is served; those outside of the layer are none; nothing in the file opens the layer."""
    place = tmp_path / "cells.pmtiles"
    place.write_text("what was there")
    count = client.export("cells", place, BOX, range(4, 9), label="b")
    reader = opened(place)
    header, metadata = reader.header(), reader.metadata()
    there = dict(all_tiles(reader.get_bytes))
    assert len(there) == count == header["addressed_tiles_count"]
    assert set(there) < tiles_of(BOX, range(4, 9))
    base = f"{running.url}/tiles/{running.token('cells')}"
    for (z, x, y), body in there.items():
        assert gzip.decompress(body) == httpx.get(f"{base}/{z}/{x}/{y}.mvt?label=b").content
    assert {each.properties["label"] for each in features(gzip.decompress(there[8, 133, 90]), "udf")} == {"b"}
    assert (header["tile_type"], header["tile_compression"]) == (TileType.MVT, Compression.GZIP)
    assert (header["min_zoom"], header["max_zoom"], header["clustered"]) == (4, 8, True)
    assert [header[name] for name in ("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7")] == [
        round(edge * 1e7) for edge in BOX
    ]
    assert (metadata["name"], metadata["attribution"], metadata["description"]) == (
        "cells",
        "made up",
        "Cells of the world.",
    )
    [layer] = metadata["vector_layers"]
    assert (layer["id"], set(layer["fields"]), layer["minzoom"], layer["maxzoom"]) == ("udf", {"zoom", "label"}, 4, 8)
    assert b"fsh_" not in place.read_bytes()
    assert "fsh_" not in json.dumps(metadata)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_pictures_that_are_the_same_are_there_once(client: Client, tmp_path: Path) -> None:
    """As they are served; zooms need not follow each other, and a box may reach over the meridian."""
    place = tmp_path / "grey.pmtiles"
    count = client.export("grey", place, (170.0, -20.0, -170.0, 20.0), [2, 5])
    again = tmp_path / "again.pmtiles"
    assert client.export("grey", again, (170.0, -20.0, -170.0, 20.0), [2, 5, 5]) == count
    assert again.read_bytes() == place.read_bytes()
    header = opened(place).header()
    assert header["center_lon_e7"] == 180 * 10**7
    assert (
        count
        == header["addressed_tiles_count"]
        == len(tiles_of((170.0, -20.0, -170.0, 20.0), range(2, 3)))
        + len(tiles_of((170.0, -20.0, -170.0, 20.0), range(5, 6)))
    )
    assert header["tile_contents_count"] == 2
    assert (header["tile_type"], header["tile_compression"]) == (TileType.PNG, Compression.NONE)
    body = opened(place).get(5, 0, 15)
    assert Image.open(io.BytesIO(body)).size == (256, 256)


def test_what_cannot_be_an_archive_leaves_none(client: Client, tmp_path: Path) -> None:
    """Other formats, and an area without a tile; what was there stays."""
    place = tmp_path / "out.pmtiles"
    place.write_text("what was there")
    with pytest.raises(FormatNotPossibleError, match="an archive holds"):
        client.export("grey", place, BOX, 5, "npy")
    with pytest.raises(NotFoundError, match="no tile with anything on it"):
        client.export("cells", place, (100.0, 0.0, 110.0, 5.0), 5)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["what was there"]
    with pytest.raises(SetupError, match="cannot be written: No such file"):
        client.export("cells", tmp_path / "nowhere" / "out.pmtiles", BOX, 5)


async def _exported(running: Running, place: Path) -> int:
    async with AsyncClient(running.url, running.private_token) as owner:
        return await owner.export("cells", place, BOX, 6)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_without_blocking(running: Running, tmp_path: Path) -> None:
    """By the client that is awaited."""
    import asyncio

    place = tmp_path / "cells.pmtiles"
    assert asyncio.run(_exported(running, place)) == opened(place).header()["addressed_tiles_count"]


def test_the_command(running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As typed."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(running.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    export.register(app)
    place = tmp_path / "out.pmtiles"
    typed = ["export", "cells", "--bbox", "5,45,9,48", "--zooms", "4-6", "-o", str(place), "-p", "label=c"]
    result = CliRunner().invoke(app, typed, catch_exceptions=False)
    assert result.exit_code == 0
    assert f"{place} has" in result.stdout.replace("\n", "")
    assert CliRunner().invoke(app, [*typed[:-4], "-o", "out.zip"]).exit_code == 2


def test_what_the_cache_says_of_itself(running: Running, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both processes together, as a table and as JSON; to its owner."""
    before = client.cache()
    url = f"{running.url}/tiles/{running.token('grey')}/9/1/1.png"
    for _ in range(12):
        assert httpx.get(url).status_code == 200
    more: dict[str, int] = {}
    while sum(more.values()) < 12:  # what a process gave again within a second it counts when that is over
        after = client.cache()
        more = {name: after["answers"][name] - before["answers"][name] for name in after["answers"]}
    assert (more["run"], sum(more.values())) == (1, 12)
    assert after["processes"] == 2
    assert after["disk"]["entries"] == before["disk"]["entries"] + 1
    assert after["memory"]["entries"] >= before["memory"]["entries"] + 1
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(running.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    shown = CliRunner().invoke(cache.app, ["stats"], catch_exceptions=False).stdout
    assert "from memory" in shown
    assert "memory of 2 processes" in shown
    told = json.loads(CliRunner().invoke(cache.app, ["stats", "--json"], catch_exceptions=False).stdout)
    assert set(told) == set(after)
    with running.client() as stranger:
        assert stranger.get("/api/v1/cache").status_code == 401
