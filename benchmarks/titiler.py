"""Claim: at least four times titiler's tiles per second of one COG, a third of its processor time, equal pixels.

titiler, as pip installs it into an environment of its own, with `uvicorn --workers 2`; ours with two workers, by a
function of one line, `read_raster`, and by one that keeps rio-tiler's Reader open. All serve a generated COG of 4096
pixels, DEFLATE, three bands of 8 bits, and `cog.tif` of the test data (16 bits, rescaled). Eight connections ask for
the same random tiles, which no cache has, in turns; printed are medians of the rounds and their ratios, and where the
time of one of our tiles goes.

    python benchmarks/titiler.py [ROUNDS]
"""

import contextlib
import io
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import mercantile
import numpy as np
import rasterio.warp
from numpy.typing import NDArray
from PIL import Image
from rasterio.shutil import copy

from tileserver import Tile, read_raster
from tileserver.encode import colour, png, raster
from tileserver.jobs import Output
from tileserver.rasters import files, nearest

T = TypeVar("T")
DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
UDFS = {
    "ours": """
from tileserver import read_raster, udf

@udf(kind="raster", maxzoom=24, cache_max_age=0)
def ours(tile, path: str):
    return read_raster(path, tile)
""",
    "reader": """
from functools import lru_cache

from rio_tiler.io import Reader
from tileserver import udf

opened = lru_cache(8)(Reader)

@udf(kind="raster", maxzoom=24, cache_max_age=0)
def reader(tile, path: str):
    return opened(path).tile(tile.x, tile.y, tile.z, tilesize=tile.size)
""",
}
CONNECTIONS, TILES = 8, 240
WORLD = 40_075_016.7
"""Metres around the equator."""
TITILER, OURS = 8411, 8412


class Scene(NamedTuple):
    """A file, and what its tiles are asked for with."""

    name: str
    path: Path
    rescale: str


class Server(NamedTuple):
    """A server's process and the address of a tile of a scene."""

    process: "subprocess.Popen[str]"
    port: int
    path: Callable[[Scene, mercantile.Tile], str]


def main(rounds: int) -> None:
    """All servers, scene by scene."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scenes = [Scene("generated", generated(folder / "generated.tif"), "")]
        if (DATA / "cog.tif").exists():
            scenes.append(Scene("cog.tif", (DATA / "cog.tif").resolve(), "0,20000"))
        with titiler(folder) as theirs, tileserver(folder) as ours:
            for scene in scenes:
                compare(scene, {"titiler": theirs, **ours}, rounds)


def compare(scene: Scene, servers: dict[str, Server], rounds: int) -> None:
    """Equal pixels, then tiles per second and processor time, in turns."""
    chosen = tiles(scene)
    for tile in chosen[:12]:
        expected = pixels(servers["titiler"], scene, tile)
        for name in UDFS:
            same(pixels(servers[name], scene, tile), expected)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for turn in range(rounds + 1):
        for name, server in servers.items():
            measured = asked(server, scene, random.Random(turn).sample(chosen, len(chosen)))
            if turn:  # the first warms all
                found[name].append(measured)
    middle = {name: [statistics.median(each[at] for each in own) for at in (0, 1)] for name, own in found.items()}
    for name, (rate, spent) in middle.items():
        more, less = rate / middle["titiler"][0], spent / middle["titiler"][1]
        print(
            f"{scene.name:10} {name:8} {rate:6.1f} tiles/s {spent:6.2f} ms of processor: {more:4.1f} times the tiles,"
            f" {less:.2f} of the processor time",
            flush=True,
        )
    print(f"{scene.name:10} {steps(servers['ours'], scene, chosen)}", flush=True)


def asked(server: Server, scene: Scene, chosen: list[mercantile.Tile]) -> tuple[float, float]:
    """Tiles per second, and milliseconds of processor time per tile of all of the server's processes."""
    left, before = iter(chosen), processor_seconds(server.process.pid)
    lock, began = threading.Lock(), time.perf_counter()

    def work() -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            while True:
                with lock:
                    tile = next(left, None)
                if tile is None:
                    return
                fetch(connection, server.path(scene, tile))

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return len(chosen) / took, (processor_seconds(server.process.pid) - before) * 1000 / len(chosen)


def fetch(connection: socket.socket, path: str) -> None:
    """A tile, with little processor time, which the servers are to have."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += connection.recv(1 << 18)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    length = re.search(rb"content-length: (\d+)", answer[:end].lower())
    assert length, answer[:end]
    missing = int(length[1]) - (len(answer) - end - 4)
    while missing > 0:
        missing -= len(connection.recv(1 << 18))


def processor_seconds(pid: int) -> float:
    """Of a process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(processor_seconds(int(child)) for child in children)


def tiles(scene: Scene) -> list[mercantile.Tile]:
    """Random ones inside of a scene, at its three deepest zooms."""
    with rasterio.open(scene.path) as file:
        west, south, east, north = rasterio.warp.transform_bounds(file.crs, 4326, *file.bounds)
        deepest = int(np.log2(WORLD / (256 * file.res[0])))
    inner = west + (east - west) / 6, south + (north - south) / 6, east - (east - west) / 6, north - (north - south) / 6
    found = list(mercantile.tiles(*inner, range(deepest - 2, deepest + 1)))
    return random.Random(1).sample(found, min(TILES, len(found)))


def pixels(server: Server, scene: Scene, tile: mercantile.Tile) -> NDArray[np.uint8]:
    """Of a tile, RGBA."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{server.path(scene, tile)}") as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGBA"))


def same(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    """Raises where a pixel that is seen differs."""
    seen = theirs[..., 3] > 0
    assert np.array_equal(ours[..., 3], theirs[..., 3])
    assert np.array_equal(ours[seen], theirs[seen])


def steps(server: Server, scene: Scene, chosen: list[mercantile.Tile]) -> str:
    """Where the time of one of our tiles goes, in milliseconds: in this process, then asked for one by one."""
    limits = tuple(map(float, scene.rescale.split(","))) if scene.rescale else None
    output = Output(rescale=(limits,) if limits else None)
    found: dict[str, list[float]] = {name: [] for name in ("warp", "read", "rescale", "encode", "transport")}
    for each in chosen * 2:
        tile, file = Tile(each.z, each.x, each.y), files.opened(scene.path)
        whole = timed(found["read"], lambda tile=tile: read_raster(scene.path, tile))
        timed(found["warp"], lambda tile=tile, file=file: nearest.places(file, tile))
        found["read"][-1] -= found["warp"][-1]
        drawn = timed(found["rescale"], lambda whole=whole: colour.pixels(raster.read(whole).bands, output))
        timed(found["encode"], lambda drawn=drawn: png.encode(drawn))
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            fetch(connection, server.path(scene, each))
            timed(found["transport"], lambda each=each, to=connection: fetch(to, server.path(scene, each)))
        found["transport"][-1] -= sum(own[-1] for name, own in found.items() if name != "transport")
    return "  ".join(f"{name} {statistics.median(own[len(chosen) :]):.2f} ms" for name, own in found.items())


def timed(into: list[float], work: Callable[[], T]) -> T:
    """What it returns; the milliseconds are kept."""
    began = time.perf_counter()
    found = work()
    into.append((time.perf_counter() - began) * 1000)
    return found


def generated(path: Path) -> Path:
    """A COG of 4096 pixels: three bands of smooth noise, DEFLATE, overviews."""
    chance = np.random.default_rng(1)
    coarse = chance.integers(0, 256, (3, 65, 65)).astype(np.float32)
    bands = np.stack([np.kron(band, np.ones((64, 64)))[:4096, :4096] for band in coarse])
    bands += chance.normal(0, 6, bands.shape)
    transform = rasterio.transform.from_bounds(500_000, 5_500_000, 540_960, 5_540_960, 4096, 4096)
    profile = {"width": 4096, "height": 4096, "count": 3, "dtype": "uint8", "crs": "EPSG:32631", "transform": transform}
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile) as file:
            file.write(np.clip(bands, 0, 255).astype(np.uint8))
        with memory.open() as file:
            copy(file, path, driver="COG", compress="DEFLATE")
    return path


@contextlib.contextmanager
def titiler(folder: Path) -> Iterator[Server]:
    """titiler with two processes."""
    python = folder / "titiler" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "titiler"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "titiler.application", "uvicorn[standard]"], check=True)
    command = [python, "-m", "uvicorn", "titiler.application.main:app", "--workers", "2", "--port", str(TITILER)]
    with running([*command, "--log-level", "error"], f"http://127.0.0.1:{TITILER}/healthz") as process:
        yield Server(process, TITILER, _titiler_path)


def _titiler_path(scene: Scene, tile: mercantile.Tile) -> str:
    rescale = f"&rescale={scene.rescale}" if scene.rescale else ""
    return f"/cog/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png?url={quote(str(scene.path))}{rescale}"


@contextlib.contextmanager
def tileserver(folder: Path) -> Iterator[dict[str, Server]]:
    """Ours with two workers, by function."""
    for name, code in UDFS.items():
        (folder / f"{name}.py").write_text(code)
    files = [folder / f"{name}.py" for name in UDFS]
    arguments = ["serve", *files, "--port", str(OURS), "--data-dir", folder / "data", "--workers", "2"]
    with running([sys.executable, "-m", "tileserver", *arguments], f"http://127.0.0.1:{OURS}/readyz") as process:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "ready\n"))
        tokens = {name: re.search(rf"\b{name}\b.*(fsh_[\w-]+)/map", said) for name in UDFS}
        yield {name: Server(process, OURS, partial(_our_path, found[1])) for name, found in tokens.items() if found}


def _our_path(token: str, scene: Scene, tile: mercantile.Tile) -> str:
    rescale = f"&rescale={scene.rescale}" if scene.rescale else ""
    return f"/tiles/{token}/{tile.z}/{tile.x}/{tile.y}.png?path={quote(str(scene.path))}{rescale}"


@contextlib.contextmanager
def running(command: list[object], health: str) -> Iterator["subprocess.Popen[str]"]:
    """A server, once it says that it is well."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(health):
                break
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
