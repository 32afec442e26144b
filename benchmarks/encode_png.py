"""Claim: PNG at least 20 times faster than rio-tiler's, at no more than 1.25 of its bytes and fewer than its ZLEVEL=1.

Photo-like (the aerial photograph of the test data, and one made of fractal noise) and sparse pictures of 256 and 512
pixels. Ours, `ImageData.render()` as it comes, and with `ZLEVEL=1` take turns; printed are medians of processor time.

    python benchmarks/encode_png.py [ROUNDS]
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rio_tiler.models import ImageData

from tileserver.encode import png

DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
Pixels = NDArray[np.uint8]


def main(rounds: int) -> None:
    """A line for each picture."""
    for name, pixels in pictures():
        bands = np.moveaxis(pixels[..., :3], -1, 0)
        mask = pixels[..., 3] == 0 if pixels.shape[2] == 4 else np.zeros(pixels.shape[:2], bool)
        image = ImageData(np.ma.MaskedArray(bands, np.broadcast_to(mask, bands.shape)))
        tries: dict[str, Callable[[], bytes]] = {
            "ours": lambda p=pixels: png.encode(p),
            "default": lambda i=image, m=mask: i.render(img_format="PNG", add_mask=bool(m.any())),
            "fast": lambda i=image, m=mask: i.render(img_format="PNG", add_mask=bool(m.any()), ZLEVEL=1),
        }
        report(name, tries, rounds)


def report(name: str, tries: dict[str, Callable[[], bytes]], rounds: int) -> None:
    """One line."""
    sizes = {each: len(work()) for each, work in tries.items()}
    times: dict[str, list[float]] = {each: [] for each in tries}
    for _ in range(rounds):
        for each, work in tries.items():
            times[each].append(milliseconds(work))
    middle = {each: statistics.median(own) for each, own in times.items()}
    print(
        f"{name:18} ours {middle['ours']:6.2f} ms {sizes['ours'] / 1000:6.1f} kB"
        f"   rio-tiler {middle['default']:7.2f} ms {sizes['default'] / 1000:6.1f} kB:"
        f" {middle['default'] / middle['ours']:5.1f} times faster,"
        f" {sizes['ours'] / sizes['default']:.2f} of its bytes, {sizes['ours'] / sizes['fast']:.2f} of ZLEVEL=1's"
        f" ({middle['fast'] / middle['ours']:.1f} times faster)",
        flush=True,
    )


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
        yield f"sparse RGBA {side}", sparse(side)
        yield from photographs(side)


def photographs(side: int) -> Iterator[tuple[str, Pixels]]:
    """Of the test data, where they are."""
    place = DATA / "cog_rgb.tif"
    if place.exists():
        import rasterio

        with rasterio.open(place) as file:
            window = rasterio.windows.Window(file.width // 3, file.height // 3, side, side)
            yield f"photo RGB {side}", np.moveaxis(file.read((1, 2, 3), window=window), 0, -1)


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


def sparse(side: int) -> Pixels:
    """A few smooth discs on nothing."""
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
