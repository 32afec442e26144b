"""Tiles cut from a block that is past its age: while it is made anew, once, and where that fails."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from commands import features
from server import Running, serving

from tileserver.tiles import Tile

SOURCE = """
import geopandas, shapely
from pathlib import Path
from tileserver import udf

@udf(block_zoom=6, maxzoom=24, kind="vector"{options})
def stamped(bounds, tile, folder: str):
    log, gate = Path(folder) / "log", Path(folder) / "gate"
    with log.open("a") as file:
        file.write(f"{{tile.z}}/{{tile.x}}/{{tile.y}}\\n")
    if gate.is_fifo():
        gate.open().read()
    elif gate.exists():
        raise ValueError("as was asked")
    return geopandas.GeoDataFrame({{"n": [len(log.read_text().split())]}}, geometry=[shapely.box(*bounds)], crs=4326)
"""
CALLING = """
from tileserver import run, udf

@udf(cache_max_age=0)
def calling(tile, folder: str):
    return {"n": int(run("hurried", tile=tile, folder=folder)["n"].iloc[0])}
"""
CLOCK = """
from tileserver import udf

@udf
def clock(key: str):
    return key
"""
UDFS = {
    "bridged": SOURCE.format(options=', stale_while_revalidate="1h"'),
    "rescued": SOURCE.format(options=', stale_if_error="1h"'),
    "both": SOURCE.format(options=', stale_while_revalidate="1h", stale_if_error="1h"'),
    "briefly": SOURCE.format(options=", stale_while_revalidate=1, stale_if_error=1"),
    "hurried": SOURCE.format(options=', cache_max_age=1, stale_while_revalidate="1h"'),
}
BLOCK = Tile(6, 33, 22)
PAST = {"cache_max_age": 1}
"""What asks for an answer that is younger than a second."""


def below(down: int, column: int, row: int) -> Tile:
    """A tile of the block."""
    return Tile(BLOCK.z + down, (BLOCK.x << down) + column, (BLOCK.y << down) + row)


FIRST, SECOND, THIRD = below(1, 0, 0), below(2, 3, 3), below(3, 5, 2)


def written(folder: Path) -> Path:
    for name, source in UDFS.items():
        (folder / f"{name}.py").write_text(source.replace("stamped", name))
    (folder / "calling.py").write_text(CALLING)
    (folder / "clock.py").write_text(CLOCK)
    return folder


PROCESSES = [pytest.param("1", id="one process"), pytest.param("2", id="two processes", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=PROCESSES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with as many processes."""
    folder = written(tmp_path_factory.mktemp("past"))
    arguments = ("--workers", "4", "--processes", request.param)
    with serving(folder, data=folder / "data", arguments=arguments) as server:
        yield server


class Asked:
    """Tiles of one UDF, which tells in `n` how often it was called; a file `gate` lets it fail, or wait."""

    def __init__(self, server: Running, client: httpx.Client, folder: Path, name: str, extension: str = "mvt") -> None:
        self._server, self._client, self._folder, self._extension = server, client, folder, extension
        self._token, self.gate = server.token(name), folder / "gate"

    def __call__(self, tile: Tile, **more: object) -> httpx.Response:
        url = f"/tiles/{self._token}/{tile.z}/{tile.x}/{tile.y}.{self._extension}"
        parameters = {"folder": str(self._folder)} | {name: str(value) for name, value in more.items()}
        return self._client.get(url, params=parameters)

    def runs(self) -> int:
        log = self._folder / "log"
        return len(log.read_text().split()) if log.exists() else 0

    def until(self, wanted: Callable[[httpx.Response], bool], tile: Tile, **more: object) -> httpx.Response:
        """Ask until it is so; each takes its time, and the server's clock goes on."""
        for _ in range(10_000):
            answer = self(tile, **more)
            if wanted(answer):
                return answer
        raise AssertionError(dict(answer.headers))

    def wait(self, seconds: int = 1) -> None:
        """Until the server says that so much time has passed."""
        url, key = f"/files/{self._server.token('clock')}.json", uuid.uuid4().hex
        while int(self._client.get(url, params={"key": key}).headers["age"]) < seconds:
            pass

    def made(self) -> None:
        """The block, whose first tile is cached; a second ago."""
        assert number(self(FIRST)) == 1
        self.wait()


@pytest.fixture
def asked(running: Running, tmp_path: Path) -> Iterator[Callable[..., Asked]]:
    """Asks for a UDF's tiles, of a new key in each test."""
    with running.client() as client:
        yield partial(Asked, running, client, tmp_path)


def source(answer: httpx.Response) -> str:
    return answer.headers["cache-status"].rpartition("detail=")[2]


def number(answer: httpx.Response) -> int:
    """Of the run that the tile is of."""
    assert answer.status_code == 200, answer.text
    (feature,) = features(answer.content, "udf")
    return int(feature.properties["n"])


def is_stale(answer: httpx.Response, run: int) -> bool:
    """Whether it is an old answer that is said to be one."""
    left = int(answer.headers["cache-status"].partition("ttl=")[2].partition(";")[0])
    assert (source(answer) == "stale") == ("max-age=0" in answer.headers["cache-control"])
    return number(answer) == run and source(answer) == "stale" and left == 1 - int(answer.headers["age"]) <= 0


@pytest.mark.parametrize("name", ["bridged", "both"])
def test_tiles_are_cut_from_an_old_block_while_it_is_made_anew(asked: Callable[..., Asked], name: str) -> None:
    """At once and as old as it is, those too that were never asked for; it is made once for all of them."""
    ask = asked(name)
    ask.made()
    os.mkfifo(ask.gate)  # the function waits until something is written there
    tiles = [below(3, column, row) for column in range(6) for row in range(6)] + [BLOCK, FIRST]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda tile: ask(tile, **PAST), tiles))
    assert all(is_stale(answer, 1) for answer in answers)
    with ask.gate.open("w"):
        ask.gate.unlink()
        assert ask.runs() == 2
        assert is_stale(ask(tiles[0], **PAST), 1), "also when it is kept"
    new = ask.until(lambda answer: number(answer) > 1, tiles[0], **PAST)
    assert number(new) == 2
    # a run that waited for long is past its age when it ends
    assert (source(new) == "stale") == (int(new.headers["age"]) >= PAST["cache_max_age"])
    assert min(number(ask(tile, **PAST)) for tile in tiles) == 2, "none hides the new block"


def test_a_tile_that_was_cut_from_an_old_block_begins_to_make_it_anew(asked: Callable[..., Asked]) -> None:
    """As any that is past its age: here after a first try that failed."""
    ask = asked("bridged")
    ask.made()
    ask.gate.write_text("fail")
    for _ in range(3):
        assert is_stale(ask(SECOND, **PAST), 1)
    ask.until(lambda _: ask.runs() > 1, SECOND, **PAST)
    ask.gate.unlink()
    ask.until(lambda answer: number(answer) > 1, SECOND, **PAST)
    assert number(ask(THIRD, **PAST)) > 1


@pytest.mark.parametrize("name", ["rescued", "both"])
def test_tiles_are_cut_from_an_old_block_where_a_run_fails(asked: Callable[..., Asked], name: str) -> None:
    """Cleared or not, as tiles are; then of a new one, and never as if they were fresh."""
    ask = asked(name)
    ask.made()
    ask.gate.write_text("fail")
    for tile in (SECOND, THIRD, SECOND, FIRST):
        assert is_stale(ask(tile, **PAST), 1)
    ask.gate.unlink()
    ask.until(lambda answer: number(answer) > 1, SECOND, **PAST)
    assert number(ask(THIRD, **PAST)) > 1


def test_a_cleared_block_is_a_rescue_and_no_bridge(running: Running, asked: Callable[..., Asked]) -> None:
    """However young it is; a tile that is cut from it does not count as made since."""
    ask, bridged = asked("both"), asked("bridged")
    assert number(ask(FIRST)) == 1
    assert number(bridged(FIRST)) == 2
    with running.owner() as owner:
        for name in ("both", "bridged"):
            assert owner.post(f"/api/v1/udf/{name}/clear", json={"zooms": [20, 20]}).status_code == 204
    assert number(bridged(below(2, 1, 1))) == 3
    ask.gate.write_text("fail")
    for _ in range(2):
        answer = ask(SECOND)
        assert (source(answer), number(answer)) == ("stale", 1)
    ask.gate.unlink()
    ask.until(lambda answer: number(answer) > 3, SECOND)


@pytest.mark.slow  # it waits for seconds
def test_neither_for_longer_than_it_says(asked: Callable[..., Asked]) -> None:
    """A second fresh, a second more."""
    ask = asked("briefly")
    ask.made()
    ask.wait(2)
    ask.gate.write_text("fail")
    assert ask(SECOND, **PAST).status_code == 422
    ask.gate.unlink()
    assert number(ask.until(lambda answer: answer.status_code == 200, SECOND, **PAST)) > 1


def test_the_newest_is_served(asked: Callable[..., Asked]) -> None:
    """An old tile does not stand in for a block that is newer, be that old too."""
    ask = asked("both")
    ask.made()
    ask.until(lambda answer: number(answer) == 2, SECOND, **PAST)
    ask.wait()
    ask.gate.write_text("fail")
    assert is_stale(ask(FIRST, **PAST), 2)


def test_functions_that_call_get_it_too(asked: Callable[..., Asked]) -> None:
    """And soon the new one."""
    ask = asked("calling", "json")
    assert ask(FIRST).json() == {"n": 1}
    ask.wait()
    os.mkfifo(ask.gate)
    assert ask(SECOND).json() == {"n": 1}
    with ask.gate.open("w"):
        ask.gate.unlink()
    ask.until(lambda answer: answer.json()["n"] > 1, SECOND)


def test_without_a_disk_tiles_are_made_anew_one_by_one(tmp_path: Path) -> None:
    """There is no block: what is bridged is the tile itself."""
    folder = written(tmp_path)
    with serving(folder, data=tmp_path / "data", arguments=("--cache-disk", "0")) as server, server.client() as client:
        ask = Asked(server, client, tmp_path, "bridged")
        ask.made()
        assert is_stale(ask(FIRST, **PAST), 1)
        assert number(ask.until(lambda answer: number(answer) > 1, FIRST, **PAST)) == 2
        assert number(ask(SECOND)) == 3


def test_old_blocks_come_from_shared_stores_too(tmp_path: Path) -> None:
    """Where there is none on the disk, and a run fails."""
    folder, data, arguments = written(tmp_path), tmp_path / "data", ("--cache", (tmp_path / "bucket").as_uri())
    with serving(folder, data=data, arguments=arguments) as server, server.client() as client:
        Asked(server, client, tmp_path, "rescued").made()
    shutil.rmtree(data / "cache")
    with serving(folder, data=data, arguments=arguments) as server, server.client() as client:
        ask = Asked(server, client, tmp_path, "rescued")
        ask.gate.write_text("fail")
        assert is_stale(ask(SECOND, **PAST), 1)
