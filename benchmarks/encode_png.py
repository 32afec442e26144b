"""Claim: PNG at least 20 times faster than rio-tiler's, at no more than 1.25 of its bytes and fewer than its ZLEVEL=1.

Photo-like pictures (two aerial photographs of the test data, and fractal noise) and sparse ones (discs, dots, lines) of
256 and 512 pixels. Ours, `ImageData.render()` as it comes, which writes alpha also where all is opaque, and the same
with `ZLEVEL=1` take turns of five; behind them what rio-tiler needs with `add_mask=False` where it may. Printed are
medians of processor time, and of each kind the geometric mean of how many times faster than "as it comes" ours is.

    python benchmarks/encode_png.py [ROUNDS]
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rio_tiler.models import ImageData

from tileserver.encode import png

DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
TURN = 5
SPARSE = ("discs", "dots", "lines")
Pixels = NDArray[np.uint8]


def main(rounds: int) -> None:
    """A line for each picture, and one for each kind."""
    found: dict[str, list[float]] = {"photo-like": [], "sparse": []}
    for name, pixels in pictures():
        alpha = pixels.shape[2] == 4
        mask = np.broadcast_to(pixels[..., 3] == 0 if alpha else False, (3, *pixels.shape[:2]))
        image = ImageData(np.ma.MaskedArray(np.moveaxis(pixels[..., :3], -1, 0), mask))
        tries: dict[str, Callable[[], bytes]] = {
            "ours": partial(png.encode, pixels),
            "as it comes": partial(image.render, img_format="PNG"),
            "ZLEVEL=1": partial(image.render, img_format="PNG", ZLEVEL=1),
        }
        if not alpha:
            tries["no mask"] = partial(image.render, img_format="PNG", add_mask=False)
        kind = "sparse" if name.startswith(SPARSE) else "photo-like"
        found[kind].append(report(name, tries, rounds))
    for kind, ratios in found.items():
        print(f"{kind}: {statistics.geometric_mean(ratios):.1f} times faster than as it comes, the geometric mean")


def report(name: str, tries: dict[str, Callable[[], bytes]], rounds: int) -> float:
    """Print one line; how many times faster than "as it comes" ours is."""
    sizes = {each: len(work()) for each, work in tries.items()}
    times: dict[str, list[float]] = {each: [] for each in tries}
    for _ in range(rounds):
        for each, work in tries.items():
            times[each] += [milliseconds(work) for _ in range(TURN)]
    middle = {each: statistics.median(own) for each, own in times.items()}
    print(f"{name:17} ours {middle['ours']:5.2f} ms {sizes['ours'] / 1000:6.1f} kB", end="")
    for each in list(tries)[1:]:
        faster, smaller = middle[each] / middle["ours"], sizes["ours"] / sizes[each]
        print(f" | {each} {middle[each]:6.2f} ms, {faster:4.1f} times faster, {smaller:.2f} of its bytes", end="")
    print(flush=True)
    return middle["as it comes"] / middle["ours"]


def milliseconds(work: Callable[[], Any]) -> float:
    """Of processor time."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def pictures() -> Iterator[tuple[str, Pixels]]:
    """Names and (height, width, 3 or 4)."""
    for side in (256, 512):
        yield f"fractal RGB {side}", fractal(side)
        yield f"fractal RGBA {side}", with_edge(fractal(side))
        yield f"discs RGBA {side}", discs(side)
        yield f"dots RGBA {side}", dots(side)
        yield f"lines RGBA {side}", lines(side)
        yield from photographs(side)


def photographs(side: int) -> Iterator[tuple[str, Pixels]]:
    """Of the test data, where they are."""
    for name, file, wide in (("photo", "cog_rgb.tif", 232), ("satellite", "mosaic_cog1.tif", 700)):
        if (DATA / file).exists() and side <= wide + 50:
            bands = read(DATA / file)
            y, x = (max(0, (length - side) // 2) for length in bands.shape[1:])
            yield f"{name} RGB {side}", np.ascontiguousarray(np.moveaxis(bands[:, y : y + side, x : x + side], 0, -1))


def read(path: Path) -> Pixels:
    """(3, height, width): a file's first bands, of more than 8 bits between the second and the 98th hundredth."""
    with rasterio.open(path) as file:
        bands = file.read((1, 2, 3))
    if bands.dtype == np.uint8:
        return bands
    low, high = np.percentile(bands[bands > 0], (2, 98))
    return np.clip((bands - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def fractal(side: int) -> Pixels:
    """Noise whose power falls with its frequency, coloured."""
    random = np.random.default_rng(1)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    bands = [np.fft.ifft2(np.fft.fft2(random.normal(size=(side, side))) / frequency**1.6).real for _ in range(3)]
    scaled = [(band - band.min()) / (band.max() - band.min()) * 255 + random.normal(0, 2, band.shape) for band in bands]
    return np.clip(np.stack(scaled, -1), 0, 255).astype(np.uint8)


def with_edge(pixels: Pixels) -> Pixels:
    """Transparent in a corner."""
    y, x = np.indices(pixels.shape[:2])
    alpha = np.where(x + y < len(pixels) // 2, 0, 255).astype(np.uint8)
    return np.concatenate([np.where(alpha[..., None] > 0, pixels, np.uint8(0)), alpha[..., None]], -1)


def dots(side: int) -> Pixels:
    """Of one colour, on nothing."""
    image = Image.new("RGBA", (side, side))
    for x, y in np.random.default_rng(3).uniform(0, side, (side, 2)):
        ImageDraw.Draw(image).ellipse([x - 3, y - 3, x + 3, y + 3], fill=(230, 60, 20, 200))
    return np.array(image)


def lines(side: int) -> Pixels:
    """With soft edges, on nothing."""
    image, random = Image.new("RGBA", (4 * side, 4 * side)), np.random.default_rng(4)
    for start in random.uniform(0, 4 * side, (25, 2)):
        walk = start + np.cumsum(random.normal(0, 40, (60, 2)), axis=0)
        ImageDraw.Draw(image).line([tuple(each) for each in walk], fill=(20, 80, 200, 255), width=6)
    return np.array(image.resize((side, side), Image.Resampling.BOX))


def discs(side: int) -> Pixels:
    """A few smooth ones on nothing."""
    y, x = np.indices((side, side))
    pixels = np.zeros((side, side, 4), np.uint8)
    random = np.random.default_rng(2)
    for _ in range(12):
        middle, radius = random.uniform(0, side, 2), random.uniform(4, side / 14)
        near = np.hypot(x - middle[0], y - middle[1])
        shade = np.clip(255 - near / radius * 128, 0, 255).astype(np.uint8)
        disc = np.stack([shade, 255 - shade, np.full_like(shade, 90), np.full_like(shade, 255)], -1)
        pixels = np.where((near < radius)[..., None], disc, pixels)
    return pixels


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
