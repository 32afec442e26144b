"""Areas of which some tiles fail, on a real server: made ahead and exported, by both clients and as typed."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pmtiles.reader import MmapSource, Reader, all_tiles
from server import Running, serving
from typer.testing import CliRunner

from tileserver.cli import app, cache, export
from tileserver.client import AsyncClient, Client, TilesFailedError
from tileserver.errors import InvalidParameterError, TileserverError
from tileserver.tiles import Tile

PATCHY = """
from pathlib import Path
import numpy as np
from tileserver import udf

@udf(maxzoom=20)
def patchy(tile, folder: str, columns: list[int] = []) -> np.ndarray:
    with (Path(folder) / "log").open("a") as log:
        print(tile.z, tile.x, tile.y, file=log)
    if tile.x in columns and not (Path(folder) / "mended").exists():
        raise ValueError("bad tile")
    return np.full((256, 256), tile.x % 9, np.uint8)
"""
FLEETING = """
import numpy as np
from tileserver import udf

@udf(cache_max_age=0)
def fleeting(tile) -> np.ndarray:
    return np.ones((256, 256), np.uint8)
"""
BOX = (0.0, 0.0, 90.0, 45.0)
"""Of zoom 5: columns 16 to 23, rows 11 to 15; four tiles of zoom 3."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("failing")
    (folder / "patchy.py").write_text(PATCHY)
    (folder / "fleeting.py").write_text(FLEETING)
    with serving(folder, data=folder / "data") as server:
        yield server


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    """The owner's."""
    with Client(running.url, running.private_token, concurrency=2) as owner:
        yield owner


@pytest.fixture
def typed(running: Running, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command, with standard error in its output."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(running.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    export.register(app)
    app.add_typer(cache.app, name="cache")
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def log(folder: Path) -> list[str]:
    """The runs that there were."""
    return (folder / "log").read_text().splitlines()


def test_warming_goes_on_and_tries_again(client: Client, tmp_path: Path) -> None:
    """All others are there; the next call runs nothing but what failed."""
    given = {"folder": str(tmp_path), "columns": [17, 21]}
    with pytest.raises(
        TilesFailedError, match=r"^10 of 40 tiles failed; (5/(17|21)/1\d,? ){3}...: ValueError: b"
    ) as told:
        client.warm("patchy", BOX, 5, **given)
    assert (len(told.value.failures), len(set(log(tmp_path)))) == (10, 40)
    assert {tile.x for tile, _ in told.value.failures} == {17, 21}
    (tmp_path / "log").unlink()
    (tmp_path / "mended").touch()
    client.clear("patchy", bbox=(-100, -10, -90, -5))  # failures are told again for seconds, unless something changes
    assert client.warm("patchy", BOX, 5, **given) == 40
    assert {line.split()[1] for line in log(tmp_path)} == {"17", "21"}


async def _warmed(running: Running, **given: Any) -> int:
    async with AsyncClient(running.url, running.private_token, concurrency=2) as owner:
        return await owner.warm("patchy", BOX, 5, **given)


async def _exported(running: Running, place: Path, **given: Any) -> int:
    async with AsyncClient(running.url, running.private_token) as owner:
        return await owner.export("patchy", place, BOX, 5, **given)


def test_awaited_it_is_the_same(running: Running, tmp_path: Path) -> None:
    """Of both."""
    given, place = {"folder": str(tmp_path), "columns": [18]}, tmp_path / "a.pmtiles"
    with pytest.raises(TilesFailedError, match=r"^5 of 40 tiles failed"):
        asyncio.run(_warmed(running, **given))
    with pytest.raises(TilesFailedError, match=r"^5 of 40 tiles failed"):
        asyncio.run(_exported(running, place, **given))
    assert not place.exists()
    assert asyncio.run(_exported(running, place, on_failure=lambda *_: None, **given)) == 35


def test_where_all_fail_alike_not_all_are_asked_for(running: Running, client: Client, tmp_path: Path) -> None:
    """Of a function that is broken."""
    given: dict[str, Any] = {"folder": str(tmp_path), "columns": list(range(64))}
    with pytest.raises(TilesFailedError, match=r"^50 tiles in a row failed alike.*; 6/\d+/\d+: ValueError"):
        client.warm("patchy", (-180, -85, 180, 85), 6, **given)
    assert len(log(tmp_path)) <= 52
    with pytest.raises(InvalidParameterError, match="columns"):
        client.warm("patchy", (-180, -85, 180, 85), 6, folder="", columns="a")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_archive_is_whole_or_says_what_it_lacks(client: Client, tmp_path: Path) -> None:
    """What was at its place stays where one fails."""
    place, left_out = tmp_path / "out.pmtiles", list[tuple[Tile, TileserverError]]()
    place.write_text("what was there")
    given = {"folder": str(tmp_path), "columns": [17]}
    with pytest.raises(TilesFailedError, match="5 of 40 tiles failed"):
        client.export("patchy", place, BOX, 5, **given)
    assert place.read_text() == "what was there"
    count = client.export("patchy", place, BOX, 5, on_failure=lambda *each: left_out.append(each), **given)
    reader = Reader(MmapSource(place.open("rb")))
    there = {place for place, _ in all_tiles(reader.get_bytes)}
    assert count == len(there) == 35
    assert {(tile.z, tile.x, tile.y) for tile, _ in left_out} == {(5, 17, y) for y in range(11, 16)}


def test_the_commands(typed: Any, tmp_path: Path) -> None:
    """Status 1 and what failed; with `--skip-failed` the archive without that."""
    area = ("patchy", "--bbox", "0,0,90,45", "--zooms", "3", "-p", f"folder={tmp_path}", "-p", "columns=[5]")
    result = typed("cache", "warm", *area)
    assert isinstance(result.exception, TilesFailedError)
    assert re.match(
        r"2 of 4 tiles failed; 3/5/[23], 3/5/[23]: ValueError: bad tile \(line \d+\)$", str(result.exception)
    )
    place = tmp_path / "out.pmtiles"
    assert str(typed("export", *area, "-o", place).exception).endswith(
        "; nothing is written, unless you add --skip-failed"
    )
    result = typed("export", *area, "-p", "rescale=0,9", "-o", place, "--skip-failed")
    assert (result.exit_code, place.exists()) == (0, True)
    assert "left out, for it failed: 3/5/3: ValueError: bad tile" in result.output
    assert f"has 2 tiles of 'patchy', {place.stat().st_size} B" in result.output.replace("\n", "")


def test_what_is_not_kept_is_not_there(client: Client) -> None:
    """Of a function that keeps nothing."""
    with pytest.raises(TilesFailedError, match=r"^4 of 4 tiles failed; .*nothing of it is kept: cache_max_age is 0"):
        client.warm("fleeting", BOX, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--bbox", "0,0,9,9", "--zooms", "3-1"), "the first and the last"),
        (("--bbox", "0,0,9,9", "--zooms", "0-31"), "zooms from 0 to 30"),
        (("--bbox", "0,0,9,9", "--zooms", "3", "-p", "nope=1"), "no parameter 'nope'; it has folder, columns"),
        (("--bbox", "0,0,9,9", "--zooms", "3", "-p", "tile=1/1/1"), "say --tile"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    typed: Any, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """Of both commands, in a sentence."""
    for command in (("cache", "warm"), ("export", "-o", tmp_path / "out.pmtiles")):
        result = typed(*command, "patchy", *arguments)
        assert result.exit_code == 2
        assert sentence in " ".join(result.output.replace("│", " ").split())


def test_places_without_area_and_places_that_are_none(client: Client, tmp_path: Path) -> None:
    """A place has the tiles that it lies in; a box upside down has none."""
    assert client.warm("patchy", (8.0, 47.0, 8.0, 47.0), range(3), folder=str(tmp_path)) == 3
    for box, zooms, sentence in (
        ((8, 48, 9, 47), 3, "a box is west"),
        ((8, 47, 190, 48), 3, "a box is west"),
        ((8, 47, 9, 48), 31, "zooms are from 0 to 30"),
        ((8, 47, 9, 48), range(3, 2), "one or more"),
    ):
        with pytest.raises(InvalidParameterError, match=sentence):
            client.warm("patchy", box, zooms, folder=str(tmp_path))
