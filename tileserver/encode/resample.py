"""A window of a raster as a square of as many or more pixels, along its own axes: what needs none of GDAL's warper."""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import smooth
from tileserver.encode.mosaic import Mosaic, bands_first
from tileserver.encode.window import REACH, Axis, Window

METHODS: Final = frozenset({"nearest", "mode", *REACH})


def finer(bands: Mosaic, mask: Mosaic | None, window: Window, size: int, method: str) -> NDArray[Any]:
    """(bands, size, size) of a window that has no more pixels than that, of the same type; masked where some have none.

    Pixels beside the window count where the method looks at neighbours, so that windows side by side fit together.

    Args:
        bands: Of which the window is a part.
        mask: Where they have no value; of one band, where all have it in common.
        window: Its part.
        size: Pixels.
        method: One of `METHODS`; of "mode", which is nearest here, a pixel lies in one of the window's.
    """
    if window.is_whole(size):
        rows, columns = (slice(int(start), int(start) + size) for start in (window.top, window.left))
        return bands_first(bands.read(rows, columns), None if mask is None else mask.read(rows, columns))
    if method in REACH:
        return smooth.of(bands, mask, window, size, method).array()
    axes = window.axes(size, bands.height, bands.width, method)
    return bands_first(_repeated(bands, *axes), None if mask is None else _repeated(mask, *axes))


def _repeated(stored: Mosaic, down: Axis, across: Axis) -> NDArray[Any]:
    """The pixels in which others lie."""
    values = stored.read(down.pixels, across.pixels)
    return _widened(values, across).take(_places(*down[1:4], len(values)), axis=0)


def _widened(values: NDArray[Any], across: Axis) -> NDArray[Any]:
    """The columns in which others lie; those that are there twice, four or eight times as parts of wider numbers.

    One multiplication writes such a number: eight times faster than to take its parts one by one.
    """
    count, each = values.shape[2], values.dtype.itemsize
    times = across.size // count
    if times * each not in (2, 4, 8) or across.step * times != 1 or across.offset * 2 != across.step:
        return values.take(_places(*across[1:4], count), axis=2)
    ones = sum(1 << 8 * each * at for at in range(times))
    wide = values.view(f"u{each}").astype(f"u{times * each}")
    wide *= wide.dtype.type(ones)
    return wide.view(values.dtype)


@lru_cache(32)
def _places(offset: float, step: float, size: int, count: int) -> NDArray[np.intp]:
    """Args: count: pixels that there are. The same for most tiles of a zoom."""
    return (offset + np.arange(size) * step).astype(np.intp).clip(0, count - 1)
