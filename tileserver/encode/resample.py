"""A window of a raster as a square of as many or more pixels, along its own axes: what needs none of GDAL's warper."""

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.warp import as_type, rounded

Masked = np.ma.MaskedArray[Any, Any]
Centres = NDArray[np.floating[Any]]
"""Of the pixels that are made, in pixels of the raster."""

_STRIP: Final = 16
"""Pixels of a strip, at most."""
METHODS: Final = frozenset({"nearest", "bilinear", "cubic", "mode"})
_REACH: Final = {"bilinear": 1, "cubic": 2}
"""Pixels to each side that count."""
_LEAST: Final = 1e-6
"""Weight of neighbours with a value below which a pixel has none, as in GDAL's warper."""


class Window(NamedTuple):
    """A part of a raster, in its pixels, that need not be whole."""

    left: float
    top: float
    width: float
    height: float

    def is_whole(self, size: int) -> bool:
        """Whether it is `size` pixels squared as they are."""
        return self.width == self.height == size and self.left == int(self.left) and self.top == int(self.top)

    def fits(self, size: int) -> bool:
        """Whether it has no more pixels than that."""
        return max(self.width, self.height) <= size


def finer(bands: Masked, window: Window, size: int, method: str) -> Masked:
    """(bands, size, size) of a window that has no more pixels than that, of the same type.

    Pixels beside the window count where the method looks at neighbours, so that windows side by side fit together.

    Args:
        bands: (bands, rows, columns).
        window: Its part.
        size: Pixels.
        method: One of `METHODS`; of "mode", which is nearest here, a pixel lies in one of the window's.
    """
    if window.is_whole(size):
        rows, columns = (slice(int(start), int(start) + size) for start in (window.top, window.left))
        return bands[:, rows, columns]
    steps = window.height / size, window.width / size
    if method not in _REACH:
        centres = ((np.arange(size) + 0.5) * step for step in steps)
        return _nearest(bands, *(start + each for start, each in zip((window.top, window.left), centres, strict=True)))
    down = _along(window.top, steps[0], size, bands.shape[1], method)
    across = _along(window.left, steps[1], size, bands.shape[2], method)
    return _weighted(*_part(bands, down.pixels, across.pixels), down, across)


def _part(bands: Masked, rows: slice, columns: slice) -> tuple[NDArray[Any], Any]:
    """Values and mask, if there is one: faster than to cut a masked array."""
    mask: Any = np.ma.getmask(bands)
    return np.ma.getdata(bands)[:, rows, columns], mask if mask is np.ma.nomask else mask[:, rows, columns]


def _nearest(bands: Masked, down: Centres, across: Centres) -> Masked:
    """The pixels in which these lie."""
    rows, columns = (each.astype(np.int64) for each in (down, across))
    part = _part(bands, slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    rows, columns = rows - rows[0], columns - columns[0]
    values, mask = (each.take(columns, axis=2).take(rows, axis=1) if each is not np.ma.nomask else each
                    for each in part)  # fmt: skip
    return np.ma.MaskedArray(values, mask)


class _Axis(NamedTuple):
    """Pixels along an axis from which others are made, and where these lie."""

    pixels: slice
    offset: float
    """Of the first that is made, from the middle of the first that counts."""
    step: float
    size: int
    method: str


def _along(start: float, step: float, size: int, limit: int, method: str) -> _Axis:
    """Args: limit: how many pixels there are."""
    reach, first = _REACH[method], start + step / 2 - 0.5
    last = first + step * (size - 1)
    pixels = slice(max(math.floor(first) - reach + 1, 0), min(math.floor(last) + reach + 1, limit))
    return _Axis(pixels, first - pixels.start, step, size, method)


class _Strips(NamedTuple):
    """Neighbours that count for some pixels at a time, and how much: a product of small matrices for each."""

    places: NDArray[np.intp]
    """(strips, neighbours)."""
    shares: NDArray[np.floating[Any]]
    """(strips, pixels that are made, neighbours); of each pixel a sum of 1."""


@lru_cache(32)
def _strips(offset: float, step: float, size: int, method: str, count: int, dtype: str) -> _Strips:
    """Args: count: pixels that there are. The same for most tiles of a zoom."""
    reach, at = _REACH[method], (offset + np.arange(size) * step).reshape(-1, math.gcd(size, _STRIP), 1)
    first, last = np.floor(at[:, 0]) + 1 - reach, np.floor(at[:, -1]) + reach
    places = first + np.arange((last - first).max() + 1)
    away = np.abs(at - places[:, np.newaxis])
    weights = np.maximum(1 - away, 0) if method == "bilinear" else _cubic(away)
    weights *= ((places >= 0) & (places < count))[:, np.newaxis]
    shares = weights / weights.sum(axis=2, keepdims=True)
    return _Strips(places.clip(0, count - 1).astype(np.intp), shares.astype(dtype))


def _cubic(away: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Keys 1981, "Cubic convolution interpolation", with a = -0.5, as GDAL has it."""
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))


def _weighted(values: NDArray[Any], mask: Any, down: _Axis, across: _Axis) -> Masked:
    """The sums of neighbours that have a finite value, by how much these weigh together."""
    there = np.isfinite(values)
    if mask is not np.ma.nomask:
        there &= ~mask
    whole = there.all()
    dtype = "f4" if whole and (values.dtype.itemsize <= 2 or values.dtype == np.float32) else "f8"
    axes = [_strips(*axis[1:], count, dtype) for axis, count in zip((down, across), values.shape[1:], strict=True)]
    if whole:
        return np.ma.MaskedArray(as_type(values.dtype, _summed(values.astype(dtype), *axes)))
    weights = _summed(there.astype(dtype), *axes)
    none = weights < _LEAST
    found = _summed(np.where(there, values, 0).astype(dtype), *axes) / np.where(none, 1, weights)
    return rounded(values.dtype, np.where(none, np.nan, found))


def _summed(values: NDArray[Any], down: _Strips, across: _Strips) -> NDArray[Any]:
    """Along rows, then along columns."""
    count, made = across.shares.shape[:2]
    wide = np.empty((*values.shape[:2], count, made), values.dtype)
    near = values.take(across.places, axis=2).swapaxes(1, 2)
    np.matmul(near, across.shares.swapaxes(1, 2), out=wide.swapaxes(1, 2))
    rows = wide.reshape(*values.shape[:2], count * made).take(down.places, axis=1)
    return (down.shares @ rows).reshape(len(values), -1, count * made)
