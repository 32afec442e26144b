"""Claim: at least four times titiler's tiles per second of one COG, a third of its processor time, equal pixels.

titiler, as pip installs it into an environment of its own, with `uvicorn --workers 2`; ours with two workers, by a
function of a few lines that keeps the file open. Both serve a generated COG of 4096 pixels, DEFLATE, three bands of
8 bits, and `cog.tif` of the test data (16 bits, rescaled). Eight connections ask for the same random tiles, which no
cache has, in turns of one server and the other; printed are the ratios of the rounds' medians, and where the time of
one of our tiles goes.

    python benchmarks/titiler.py [ROUNDS]
"""

import contextlib
import http.client
import io
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import mercantile
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.shutil import copy

DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
UDF = """
from functools import lru_cache

from rio_tiler.io import Reader
from tileserver import udf

opened = lru_cache(8)(Reader)

@udf(kind="raster", maxzoom=24, cache_max_age=0)
def cog(tile, path: str):
    return opened(path).tile(tile.x, tile.y, tile.z, tilesize=tile.size)
"""
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
    url: Callable[[Scene, mercantile.Tile], str]


def main(rounds: int) -> None:
    """Both servers, scene by scene."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scenes = [Scene("generated", generated(folder / "generated.tif"), "")]
        if (DATA / "cog.tif").exists():
            scenes.append(Scene("cog.tif", (DATA / "cog.tif").resolve(), "0,20000"))
        with titiler(folder) as theirs, tileserver(folder) as ours:
            for scene in scenes:
                compare(scene, ours, theirs, rounds)


def compare(scene: Scene, ours: Server, theirs: Server, rounds: int) -> None:
    """Equal pixels, then tiles per second and processor time, in turns."""
    chosen = tiles(scene)
    for tile in chosen[:12]:
        same(pixels(ours.url(scene, tile)), pixels(theirs.url(scene, tile)))
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "titiler": []}
    for turn in range(rounds + 1):
        for name, server in (("ours", ours), ("titiler", theirs)):
            measured = asked(server, scene, random.Random(turn).sample(chosen, len(chosen)))
            if turn:  # the first warms both
                found[name].append(measured)
    rate, spent = ({name: statistics.median(each[at] for each in own) for name, own in found.items()} for at in (0, 1))
    print(
        f"{scene.name:10} ours {rate['ours']:6.1f} tiles/s {spent['ours']:6.2f} ms of processor   titiler"
        f" {rate['titiler']:6.1f} tiles/s {spent['titiler']:6.2f} ms:  {rate['ours'] / rate['titiler']:.1f} times the"
        f" tiles, {spent['ours'] / spent['titiler']:.2f} of the processor time   {steps(ours.url(scene, chosen[0]))}",
        flush=True,
    )


def asked(server: Server, scene: Scene, chosen: list[mercantile.Tile]) -> tuple[float, float]:
    """Tiles per second, and milliseconds of processor time per tile of all of the server's processes."""
    left, before = iter(chosen), processor_seconds(server.process.pid)
    lock, began = threading.Lock(), time.perf_counter()

    def work() -> None:
        client = http.client.HTTPConnection(server.url(scene, chosen[0]).split("/")[2])
        while True:
            with lock:
                tile = next(left, None)
            if tile is None:
                return
            client.request("GET", "/" + server.url(scene, tile).split("/", 3)[3])
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200, answer.status

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return len(chosen) / took, (processor_seconds(server.process.pid) - before) * 1000 / len(chosen)


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


def pixels(url: str) -> NDArray[np.uint8]:
    """Of a tile, RGBA."""
    with urllib.request.urlopen(url) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGBA"))


def same(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    """Raises where a pixel that is seen differs."""
    seen = theirs[..., 3] > 0
    assert np.array_equal(ours[..., 3], theirs[..., 3])
    assert np.array_equal(ours[seen], theirs[seen])


def steps(url: str) -> str:
    """Where the time of one of our tiles goes."""
    with urllib.request.urlopen(url) as answer:
        return str(answer.headers["server-timing"])


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
        yield Server(process, _titiler_url)


def _titiler_url(scene: Scene, tile: mercantile.Tile) -> str:
    place = f"http://127.0.0.1:{TITILER}/cog/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"
    rescale = f"&rescale={scene.rescale}" if scene.rescale else ""
    return f"{place}?url={quote(str(scene.path))}{rescale}"


@contextlib.contextmanager
def tileserver(folder: Path) -> Iterator[Server]:
    """Ours with two workers."""
    (folder / "cog.py").write_text(UDF)
    arguments = ["serve", folder / "cog.py", "--port", str(OURS), "--data-dir", folder / "data", "--workers", "2"]
    with running([sys.executable, "-m", "tileserver", *arguments], f"http://127.0.0.1:{OURS}/readyz") as process:
        assert process.stdout is not None
        token = next(match[1] for line in process.stdout if (match := re.search(r"(fsh_[\w-]+)/map", line)))
        yield Server(process, lambda scene, tile: _our_url(token, scene, tile))


def _our_url(token: str, scene: Scene, tile: mercantile.Tile) -> str:
    rescale = f"&rescale={scene.rescale}" if scene.rescale else ""
    place = f"http://127.0.0.1:{OURS}/tiles/{token}/{tile.z}/{tile.x}/{tile.y}.png"
    return f"{place}?path={quote(str(scene.path))}{rescale}"


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
