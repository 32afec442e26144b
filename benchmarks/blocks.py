"""Claim: one run serves a map session, and a cut tile costs at most 1.3 times what encoding it alone costs.

First, in one process, the processor time of cutting a tile from a stored block and encoding it, against encoding what
the function itself would have returned for the tile, in turns: vectors (40,000 cells) and rasters (4,096 pixels, one
and three bands; made smaller, too, for which a block has smaller arrays, and what these cost once; also stretched). Of
what is stretched also against an encoder that has to stretch the same pixels itself, as it has where a function returns
an array with bounds and names how to resample it. Then a server in a process of its own: 200 tiles over one block and a
session of three users over a city, zoom 4 to 14 and back, 600 tiles, each with and without `block_zoom`: calls of the
function, which takes half a second, and seconds.

    python benchmarks/blocks.py [ROUNDS]
"""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import httpx
import msgspec
import numpy as np
import shapely

from tileserver.encode import blocks, encode, warp
from tileserver.encode.blocks import Block
from tileserver.encode.raster import Raster, masked
from tileserver.jobs import Output
from tileserver.tiles import Tile

ABOVE = Tile(8, 133, 91)
CITY = (8.54, 47.37)
SOURCE = '''
import os
import time

import geopandas
import numpy as np
import shapely

from tileserver import udf


@udf({options}maxzoom=20, kind="vector")
def {name}(bounds, log: str):
    """A grid of cells of a hundred-thousandth of the world's side, read for half a second."""
    with open(log, "a") as file:
        file.write("run\\n")
    time.sleep(0.5)
    west, south, east, north = bounds
    step = max((east - west) / 120, 0.0005)
    x, y = (np.arange(low - low % step, high, step) for low, high in ((west, east), (south, north)))
    left, low = (each.ravel() for each in np.meshgrid(x, y))
    shapes = shapely.box(left, low, left + step, low + step)
    return geopandas.GeoDataFrame({{"n": np.arange(len(shapes))}}, geometry=shapes, crs=4326)
'''


def main(rounds: int) -> None:
    """A line for each kind of block, then one for each session."""
    for name, result, output, tiles in cases():
        began = time.thread_time()
        block = Block(blocks.draw(result, output).body, ABOVE)
        drawn = time.thread_time() - began
        block.cut(tiles[0], output)  # as in a worker that has it open
        found = [returned(block, output, tile) for tile in tiles]
        whole: list[float] = []
        alone: list[float] = []
        for _ in range(rounds):
            for tile, each in zip(tiles, found, strict=True):
                whole.append(milliseconds(partial(cut, block, output, tile)))
                alone.append(milliseconds(partial(write, each, output, tile)))
        both, one = statistics.median(whole), statistics.median(alone)
        print(f"{name:42} cut and encoded {both:6.2f} ms, encoded {one:6.2f} ms: {both / one:.2f} times", end="")
        if "stretched" in name:
            parts = [(part(result, tile), output, tile) for tile in tiles]
            itself = statistics.median(milliseconds(partial(write, *each)) for _ in range(rounds) for each in parts)
            print(f"; stretched by the encoder itself {itself:.2f} ms: {both / itself:.2f}", end="")
        if "made smaller" in name:
            plain = milliseconds(partial(blocks.draw, result))
            print(f"; block written in {drawn * 1000:.0f} ms, without smaller arrays in {plain:.0f}", end="")
        print(flush=True)
    sessions()


def returned(block: Block, output: Output, tile: Tile) -> Any:
    """What the function itself would have returned for the tile."""
    found = block.cut(tile, msgspec.structs.replace(output, formats=()))
    return np.ma.filled(found, np.nan) if np.ma.isMA(found) and found.dtype.kind == "f" else found


def cut(block: Block, output: Output, tile: Tile) -> bytes:
    return write(block.cut(tile, output), output, tile)


def write(result: Any, output: Output, tile: Tile) -> bytes:
    return encode(result, output, tile, limit=10**8).body


def part(bands: Any, tile: Tile) -> Raster:
    """The pixels that the tile needs of those that lie on the block's, and where they lie."""
    whole = masked(bands)
    rows, columns, bounds = warp.window(*whole.shape[1:], ABOVE.bounds_3857, "EPSG:3857", tile)
    return Raster(whole[:, rows, columns], bounds, "EPSG:3857")


def milliseconds(work: Callable[[], Any]) -> float:
    """Of processor time."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def below(down: int, column: int, row: int) -> Tile:
    return Tile(ABOVE.z + down, (ABOVE.x << down) + column, (ABOVE.y << down) + row)


def cases() -> Iterator[tuple[str, Any, Output, list[Tile]]]:
    """Names, results of the function, what is asked for, and some tiles."""
    frame, mvt = cells(200), Output(formats=("mvt",))
    for down in (2, 4):
        yield f"40,000 areas, {down} zooms below", frame, mvt, some(down)
    random = np.random.default_rng(1)
    smooth = np.add.outer(np.linspace(0, 90, 4096), np.linspace(0, 120, 4096))
    photo = np.stack([(smooth + random.normal(0, 6, smooth.shape)).clip(0, 255) for _ in range(3)]).astype("uint8")
    heights = (smooth * 10).astype("float32")
    png = Output(formats=("png",))
    coloured = Output(formats=("png",), rescale=((0, 2100),), colormap="terrain")
    yield "photo of 4,096 pixels, 4 zooms below", photo, png, some(4)
    yield "photo, stretched, nearest, 7 zooms below", photo, png, some(7)
    punched = np.ma.MaskedArray(photo, holes(photo.shape))
    for method, down, name, bands in (
        *((method, down, "photo", photo) for method in ("nearest", "bilinear") for down in (0, 2)),
        *((method, 1, "photo with holes", punched) for method in ("nearest", "average", "cubic")),
    ):
        coarser = msgspec.structs.replace(png, resampling=method)
        yield f"{name}, made smaller, {method}, {down} zooms below", bands, coarser, some(down)
    yield "heights of 4,096 pixels, 4 zooms below", heights, coloured, some(4)
    for method, down in (("nearest", 5), ("bilinear", 5), ("bilinear", 7), ("cubic", 5)):
        smoother = msgspec.structs.replace(coloured, resampling=method)
        yield f"heights, stretched, {method}, {down} zooms below", heights, smoother, some(down)
    smoother = Output(formats=("png",), resampling="bilinear")
    yield "photo, stretched, bilinear, 5 zooms below", photo, smoother, some(5)
    yield "photo with holes, stretched, bilinear", punched, smoother, some(5)
    smoother = msgspec.structs.replace(coloured, resampling="bilinear")
    yield "heights as int16, stretched, bilinear", heights.astype("int16"), smoother, some(5)
    yield "heights with holes, stretched, bilinear", np.where(holes(heights.shape), np.nan, heights), smoother, some(5)


def holes(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where nothing is: sixteen pixels of every hundred each way."""
    rows, columns = (np.arange(length) % 100 < 16 for length in shape[-2:])
    return np.broadcast_to(rows[:, np.newaxis] & columns, shape)


def some(down: int) -> list[Tile]:
    last = (1 << down) - 1
    return [below(down, last * at // 5, last * (5 - at) // 7) for at in range(6)]


def cells(count: int) -> geopandas.GeoDataFrame:
    west, south, east, north = ABOVE.bounds
    x, y = np.linspace(west, east, count + 1), np.linspace(south, north, count + 1)
    left, low = (each.ravel() for each in np.meshgrid(x[:-1], y[:-1]))
    shapes = shapely.box(left, low, left + x[1] - x[0], low + y[1] - y[0])
    columns = {"n": np.arange(count**2), "name": [f"cell {at % 100}" for at in range(count**2)]}
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=4326)


def sessions() -> None:
    """Both functions, one after the other on one server."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, options in (("each", ""), ("blocked", "block_zoom=8, ")):
            (place / f"{name}.py").write_text(SOURCE.format(name=name, options=options))
        with serving(place) as bases:
            for label, users in (("200 tiles over one block", [over_block()]), ("600 tiles of three users", walks())):
                for name in ("each", "blocked"):
                    log = place / f"{label}-{name}.log"
                    began = time.monotonic()
                    with ThreadPoolExecutor(len(users)) as pool:
                        list(pool.map(partial(walk, bases[name], log), users))
                    took, runs = time.monotonic() - began, len(log.read_text().split())
                    print(f"{label}, {name}: {runs} runs, {took:.1f} s", flush=True)


def over_block() -> list[Tile]:
    tiles = [ABOVE]
    for down in range(1, 7):
        last = (1 << down) - 1
        near = range(max(0, last // 2 - 2), min(last, last // 2 + 3) + 1)
        tiles += [below(down, column, row) for column in near for row in near]
    return tiles[:200]


def walks() -> list[list[Tile]]:
    """Of each user 200 tiles, six by a look: from zoom 4 down to 14 and back, each a little beside the others."""
    found = []
    for user in range(3):
        tiles: list[Tile] = []
        for zoom in [*range(4, 15), *range(14, 3, -1)] * 2:
            middle = Tile.at(CITY[0] + 0.002 * user, CITY[1], zoom)
            shift = len(tiles) // 100
            tiles += [
                Tile(zoom, min(middle.x + column + shift, (1 << zoom) - 1), min(middle.y + row, (1 << zoom) - 1))
                for column in (0, 1, 2)
                for row in (0, 1)
            ]
        found.append(tiles[:200])
    return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """Of each function in a folder the address in front of its tiles."""
    arguments = ["serve", str(folder), "--port", "8314", "--data-dir", str(folder / "data"), "--workers", "2"]
    server = subprocess.Popen([sys.executable, "-m", "tileserver", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        bases, name = {}, ""
        for line in server.stdout:
            name = next(iter(re.findall(r"^  (\w+) ", line)), name)
            if found := re.search(r"(http://\S+/tiles/fsh_[\w-]+)/map", line):
                bases[name] = found[1]
            if line.startswith("ready"):
                break
        yield bases
    finally:
        server.terminate()
        server.wait()


def walk(base: str, log: Path, tiles: list[Tile]) -> None:
    """Six tiles at once, as a map asks for them."""
    with httpx.Client() as client, ThreadPoolExecutor(6) as pool:

        def get(tile: Tile) -> None:
            answer = client.get(f"{base}/{tile.z}/{tile.x}/{tile.y}.mvt", params={"log": str(log)}, timeout=120)
            assert answer.status_code in (200, 204), answer.text

        for start in range(0, len(tiles), 6):
            list(pool.map(get, tiles[start : start + 6]))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
