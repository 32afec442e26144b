"""Claim: values become colours, and these a PNG, many times faster than by rio-tiler, with the same pixels.

Heights and three bands of several types, 256 and 512 pixels wide, over a range and through a colour map. `colours` is
the work up to pixels (`rescale` and `apply_colormap` of rio-tiler), `tile` all of it (`render`). Ours and rio-tiler's
take turns of five; printed are medians of processor time, and by how much ours is faster.

    python benchmarks/colour.py [ROUNDS]
"""

import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rio_tiler.colormap import cmap
from rio_tiler.models import ImageData

from tileserver.encode import colour, encode, raster
from tileserver.jobs import Output

TURN = 5
RANGE = (100.0, 3000.0)


class Case(NamedTuple):
    """Bands and how they shall look."""

    name: str
    bands: NDArray[Any]
    colormap: str | None
    """One of rio-tiler's."""

    @property
    def output(self) -> Output:
        """The same as the encoder is told it."""
        return Output(rescale=(RANGE,), colormap=self.colormap)

    def colours(self) -> Any:
        """Ours."""
        return colour.pixels(raster.read(self.bands).bands, self.output)

    def tile(self) -> bytes:
        """Ours."""
        return encode(self.bands, self.output, None, limit=10**8).body

    def reference_colours(self) -> ImageData:
        """rio-tiler's."""
        image = ImageData(np.ma.masked_invalid(self.bands))
        image.rescale((RANGE,))
        return image.apply_colormap(cmap.get(self.colormap)) if self.colormap else image

    def reference_tile(self) -> bytes:
        """rio-tiler's."""
        image = ImageData(np.ma.masked_invalid(self.bands))
        image.rescale((RANGE,))
        return bytes(image.render(img_format="PNG", colormap=cmap.get(self.colormap) if self.colormap else None))


def main(rounds: int) -> None:
    """A line for each case."""
    warnings.simplefilter("ignore")  # rio-tiler casts NaN
    for case in cases():
        assert same(pixels(case.tile()), pixels(case.reference_tile())), case.name
        tries = {
            "colours": (case.colours, case.reference_colours),
            "tile": (case.tile, case.reference_tile),
        }
        print(f"{case.name:28}", "  ".join(measured(name, *both, rounds) for name, both in tries.items()), flush=True)


def measured(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> str:
    """Both, one turn after the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, own in zip((ours, theirs), times, strict=True):
            own += [milliseconds(work) for _ in range(TURN)]
    mine, other = (statistics.median(own) for own in times)
    return f"{name} {mine:5.2f} ms, rio-tiler {other:6.2f} ms: {other / mine:5.1f} times faster"


def milliseconds(work: Callable[[], Any]) -> float:
    """Of processor time."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def cases() -> Iterator[Case]:
    """Smooth heights and noise."""
    for side in (256, 512):
        heights = hills(side)
        for dtype in ("int16", "float32"):
            yield Case(f"{dtype}, viridis, {side}", heights.astype(dtype)[np.newaxis], "viridis")
        gaps = np.where(heights < 700, np.nan, heights).astype(np.float32)[np.newaxis]
        yield Case(f"float32 with NaN, terrain, {side}", gaps, "terrain")
        bands = np.stack([heights, heights[::-1], heights.T])
        for dtype in ("uint16", "float32"):
            yield Case(f"{dtype}, three bands, {side}", bands.astype(dtype), None)


def hills(side: int) -> NDArray[np.float64]:
    """0 to 3,200 with some roughness."""
    y, x = np.indices((side, side)) / side * 6
    rough = np.random.default_rng(1).normal(0, 8, (side, side))
    return np.clip(1600 + 900 * np.sin(x) * np.cos(y) + 500 * np.sin(3 * x + y) + rough, 0, 3200)


def pixels(body: bytes) -> NDArray[np.uint8]:
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


def same(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> bool:
    """Also of colours, where something is seen; but for one in 10,000, since rio-tiler rounds to float32 in between."""
    seen = expected[..., 3] > 0
    differs = (found[seen] != expected[seen]).any(axis=-1)
    return np.array_equal(found[..., 3], expected[..., 3]) and np.count_nonzero(differs) <= differs.size / 10_000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
