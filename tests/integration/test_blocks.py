"""One call for many tiles, on a real server: how often functions run, what is cut, and what becomes of lost files."""

import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from commands import features
from server import UDFS, Running, serving

from tileserver.tilecache.entry import Entry, read, write
from tileserver.tiles import Tile

BLOCK = Tile(6, 33, 22)
BLOCKED, PICTURED = UDFS / "blocked.py", UDFS / "pictured.py"
CHILD = """
from tileserver import udf

@udf
def child():
    return {value}
"""
PARENT = """
import geopandas, shapely
from pathlib import Path
from tileserver import run, udf

@udf(block_zoom=6, maxzoom=24, kind="vector")
def parent(bounds, log: str):
    Path(log).open("a").write("run\\n")
    return geopandas.GeoDataFrame({"n": [run("child")]}, geometry=[shapely.box(*bounds)], crs=4326)
"""
AVERAGED = """
import numpy as np
from tileserver import udf

@udf(block_zoom=6, resampling="average", kind="raster")
def averaged(bounds):
    return (np.indices((1024, 1024)).sum(axis=0) % 2 * 200).astype("uint8")
"""
WRITING = """
from tileserver import udf

@udf(block_zoom=3, kind="document")
def writing(x: int):
    return "text"
"""


def below(down: int, column: int, row: int) -> Tile:
    """A tile of the block."""
    return Tile(BLOCK.z + down, (BLOCK.x << down) + column, (BLOCK.y << down) + row)


def session() -> list[Tile]:
    """Two hundred tiles of the block: in and out over one place, with its neighbours."""
    tiles = [BLOCK]
    for down in range(1, 14):
        last = (1 << down) - 1
        near = range(min(last, max(0, last // 3 - 2)), min(last, last // 3 + 1) + 1)
        tiles += [below(down, column, row) for column in near for row in near]
    assert len(set(tiles)) > 180
    return [*tiles, *reversed(tiles)][:200]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where functions note that they are called."""
    return tmp_path / "log"


def runs(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two processes, two workers."""
    data = tmp_path_factory.mktemp("blocks") / "data"
    with serving(BLOCKED, PICTURED, data=data, arguments=("--processes", "2", "--workers", "2")) as server:
        yield server


def get(server: Running, name: str, tile: Tile, extension: str, **more: object) -> httpx.Response:
    """A tile, as it must be."""
    url = f"{server.url}/tiles/{server.token(name)}/{tile.z}/{tile.x}/{tile.y}.{extension}"
    answer = httpx.get(url, params={name: str(value) for name, value in more.items()}, timeout=60)
    assert answer.status_code in (200, 204), answer.text
    return answer


def source(answer: httpx.Response) -> str:
    return answer.headers["cache-status"].rpartition("detail=")[2]


def test_two_hundred_tiles_are_one_run(running: Running, log: Path) -> None:
    """Asked for at once, of two processes; each has the features that lie on it."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda tile: get(running, "blocked", tile, "mvt", log=log), session()))
    assert runs(log) == [f"6/{BLOCK.x}/{BLOCK.y}"]
    assert {source(each) for each in answers} <= {"run", "block", "shared", "memory", "disk"}
    assert all(features(each.content, "udf") for each in answers)
    deep = features(get(running, "blocked", below(13, 8191, 8191), "mvt", log=log).content, "udf")
    assert [each.properties["n"] for each in deep] == [39]
    outside = get(running, "blocked", Tile(5, 16, 11), "mvt", log=log)
    assert (source(outside), runs(log)[1:]) == ("run", ["5/16/11"])


def test_ages_are_those_of_the_block(running: Running, log: Path) -> None:
    """What is cut later is as old as what it is cut from, and says so."""
    first = get(running, "blocked", BLOCK, "mvt", log=log, cells=7)
    assert (source(first), first.headers["age"]) == ("run", "0")
    while int((late := get(running, "blocked", below(3, 1, 1), "mvt", log=log, cells=7)).headers["age"]) < 2:
        assert runs(log) == [f"6/{BLOCK.x}/{BLOCK.y}"]
    ttl = int(late.headers["cache-status"].partition("ttl=")[2].partition(";")[0])
    assert ttl + int(late.headers["age"]) == 90 * 86400


def test_pictures_are_cut_to_the_pixel(running: Running, log: Path) -> None:
    """Sizes double as far as they may, each once; what lies deeper is stretched."""
    sizes = {0: 256, 1: 512, 2: 1024, 3: 1024, 9: 1024}
    for down in sizes:
        last = (1 << down) - 1
        for column, row in {(0, 0), (last // 3, last // 2), (last, last)}:
            values = np.load(io.BytesIO(get(running, "pictured", below(down, column, row), "npy", log=log).content))
            size = sizes[down]
            places = [(at + (np.arange(256) + 0.5) / 256) * size / (1 << down) for at in (column, row)]
            x, y = (((each.astype(int) + 0.5) / size * 65536).astype(np.uint16) for each in places)
            assert np.array_equal(values[:2], np.stack(np.meshgrid(x, y)))
    assert runs(log) == [f"6/{BLOCK.x}/{BLOCK.y}:{size}" for size in (256, 512, 1024)]
    picture = get(running, "pictured", below(4, 1, 1), "png", log=log)
    assert (source(picture), picture.content[1:4]) == ("block", b"PNG")
    assert get(running, "pictured", BLOCK, "png", log=log, _=1).status_code == 200


def test_pictures_are_made_smaller_as_the_udf_says(tmp_path: Path) -> None:
    """Above the resolution of what it returned; at it they are that."""
    (tmp_path / "averaged.py").write_text(AVERAGED)
    with serving(tmp_path / "averaged.py", data=tmp_path / "data") as server:
        for down in (0, 1):
            coarse = np.load(io.BytesIO(get(server, "averaged", below(down, 0, 0), "npy").content))
            assert (coarse == 100).all()
        fine = np.load(io.BytesIO(get(server, "averaged", below(2, 1, 3), "npy").content))
        assert np.array_equal(fine, np.indices((256, 256)).sum(axis=0) % 2 * 200)


def workers(server: Running) -> list[int]:
    """Processes of functions."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                fields = (each / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(each.name))
    found, ahead = [], [server.process.pid]
    while ahead:
        own = children.get(ahead.pop(), [])
        found += own
        ahead += own
    return [pid for pid in found if b"tileserver.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.slow
def test_new_workers_and_servers_need_no_run(log: Path, tmp_path: Path) -> None:
    """The block is the server's: it outlives both."""
    data = tmp_path / "data"
    for _ in range(2):
        with serving(BLOCKED, data=data) as server:
            for down in range(3):
                get(server, "blocked", below(down, 0, down and 1), "mvt", log=log, cells=9)
                for pid in workers(server)[1:]:
                    os.kill(pid, signal.SIGKILL)
    assert len(runs(log)) == 1


def entries(server: Running) -> list[Path]:
    """The files of blocks."""
    cache = server.data / "cache"
    return [each for each in cache.rglob("*") if each.is_file() and b"tileserver-block" in each.read_bytes()[:200]]


def flipped(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.unlink(), id="removed"),
        pytest.param(lambda file: os.truncate(file, 3000), id="cut"),
        pytest.param(flipped, id="flipped"),
        pytest.param(lambda file: os.truncate(file, 0), id="emptied", marks=pytest.mark.slow),
        pytest.param(lambda file: file.write_bytes(b"no block of ours"), id="overwritten", marks=pytest.mark.slow),
        pytest.param(lambda file: unreadable(file), id="unreadable", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_block_is_made_anew(log: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Though workers have it open: the answer is right, and costs a run."""
    with serving(BLOCKED, data=tmp_path / "data") as server:
        get(server, "blocked", below(1, 0, 0), "mvt", log=log)
        (file,) = entries(server)
        damage(file)
        answer = get(server, "blocked", below(2, 3, 3), "mvt", log=log)
        assert len(features(answer.content, "udf")) > 90
        assert len(runs(log)) == 2
        get(server, "blocked", below(3, 5, 3), "mvt", log=log)
        assert len(runs(log)) == 2


def test_without_room_each_tile_is_a_run(log: Path, tmp_path: Path) -> None:
    """A disk that keeps nothing costs runs, and no tile."""
    with serving(BLOCKED, data=tmp_path / "data") as server:
        shutil.rmtree(server.data / "cache")
        (server.data / "cache").write_text("in the way")
        for column in range(3):
            answer = get(server, "blocked", below(2, column, 0), "mvt", log=log)
            assert source(answer) == "run"
            assert len(features(answer.content, "udf")) > 90
    assert set(runs(log)) == {f"6/{BLOCK.x}/{BLOCK.y}"}


def test_without_a_disk_cache_too(log: Path, tmp_path: Path) -> None:
    """One call for each tile, not two; of those that are asked for at once one for all."""
    with serving(BLOCKED, data=tmp_path / "data", arguments=("--cache-disk", "0")) as server:
        for column in range(3):
            answer = get(server, "blocked", below(2, column, 0), "mvt", log=log)
            assert len(features(answer.content, "udf")) > 90
            assert len(runs(log)) == column + 1
        assert not [each for each in (server.data / "cache").rglob("*") if each.is_file()]


def unreadable(file: Path) -> None:
    """An entry that checks, of a block that does not."""
    kept = read(file.read_bytes())
    assert kept is not None
    file.write_bytes(write(Entry(facts=kept.facts, body=b"TSB2\x05\0\0\0\xff\xff\xff\xff\xff")))


def test_no_store_keeps_no_block(running: Running, log: Path) -> None:
    """Who wants no answer that is kept gets one of a run."""
    for _ in range(2):
        get(running, "blocked", below(2, 1, 1), "mvt", log=log, cells=5, cache_max_age=0)
    assert len(runs(log)) == 2


@pytest.mark.parametrize(
    ("body", "again"),
    [
        ({"bbox": [5.7, 48.8, 5.8, 48.9]}, True),
        ({"bbox": [5.7, 48.8, 5.8, 48.9], "zooms": [14, 15]}, True),
        ({"bbox": [-80, 0, -70, 10]}, False),
        ({}, True),
    ],
)
def test_clearing_reaches_blocks(running: Running, log: Path, body: dict[str, object], again: bool) -> None:
    """That the place meets, at whatever zooms: a tile that was cleared is of a new run."""
    tile = Tile.at(5.75, 48.85, 14)
    assert tile.ancestor(6) == BLOCK
    get(running, "blocked", tile, "mvt", log=log)
    with running.owner() as owner:
        assert owner.post("/api/v1/udf/blocked/clear", json=body).status_code == 204
    get(running, "blocked", Tile(tile.z, tile.x + 1, tile.y), "mvt", log=log)
    assert len(runs(log)) == 1 + again


def test_failures_are_of_the_block(running: Running, log: Path, tmp_path: Path) -> None:
    """Twenty tiles of a function that fails are one call; it is tried again later."""
    gate = tmp_path / "gate"
    gate.write_text("fail")
    base = f"{running.url}/tiles/{running.token('blocked')}"
    with ThreadPoolExecutor(8) as pool:
        tiles = [below(5, column, 7) for column in range(20)]
        ask = {"log": str(log), "gate": str(gate)}
        answers = list(pool.map(lambda t: httpx.get(f"{base}/{t.z}/{t.x}/{t.y}.mvt", params=ask, timeout=60), tiles))
    assert {each.status_code for each in answers} == {422}
    assert len(runs(log)) <= 6, "one for each of two processes, and again where the registry has just changed"


def test_what_is_called_makes_a_block_stale(log: Path, tmp_path: Path) -> None:
    """A new version of it, and the tiles are of a new run."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    (folder / "parent.py").write_text(PARENT)
    (folder / "child.py").write_text(CHILD.format(value=1))
    with serving(folder, data=tmp_path / "data", arguments=("--reload",)) as server:
        for value in (1, 2):
            for column in range(3):
                answer = get(server, "parent", below(2, column, value), "mvt", log=log)
                assert {each.properties["n"] for each in features(answer.content, "udf")} == {value}
            assert len(runs(log)) == value
            seen = len(server.lines)
            if value == 1:
                (folder / "child.py").write_text(CHILD.format(value=2))
                server.wait_for("child", start=seen)


def test_what_cannot_be_cut_says_so(tmp_path: Path) -> None:
    """To its owner, with what to do."""
    source = tmp_path / "writing.py"
    source.write_text(WRITING)
    with serving(source, data=tmp_path / "data") as server, server.owner() as owner:
        answer = owner.get(f"/tiles/{server.token('writing')}/4/1/1.txt")
    assert answer.status_code == 422
    assert "without block_zoom it is called for each tile" in answer.text
