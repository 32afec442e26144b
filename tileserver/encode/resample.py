"""A window of a raster as a square of as many or more pixels, along its own axes: what needs none of GDAL's warper."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.warp import rounded

Masked = np.ma.MaskedArray[Any, Any]
Weights = NDArray[np.float64]
Places = NDArray[np.int64]

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
    down, across = ((np.arange(size) + 0.5) * (length / size) for length in (window.height, window.width))
    if method not in _REACH:
        return _nearest(bands, (window.top + down).astype(np.int64), (window.left + across).astype(np.int64))
    rows, from_rows = _weights(window.top + down - 0.5, bands.shape[1], method)
    columns, from_columns = _weights(window.left + across - 0.5, bands.shape[2], method)
    return _weighted(bands[:, rows, columns], from_rows, from_columns)


def _nearest(bands: Masked, rows: Places, columns: Places) -> Masked:
    part = bands[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    rows, columns = rows - rows[0], columns - columns[0]
    mask = np.ma.getmask(part)
    values = np.ma.getdata(part).take(rows, axis=1).take(columns, axis=2)
    return np.ma.MaskedArray(values, mask if mask is np.ma.nomask else mask.take(rows, axis=1).take(columns, axis=2))


def _weights(centres: NDArray[np.floating[Any]], limit: int, method: str) -> tuple[slice, Weights]:
    """Which pixels of an axis count, and how much each for each centre: (centres, pixels).

    Args:
        centres: in pixels, 0 being the middle of the first.
        limit: how many there are.
    """
    reach = _REACH[method]
    first, last = int(np.floor(centres[0])) - reach + 1, int(np.floor(centres[-1])) + reach
    chosen = slice(max(first, 0), min(last + 1, limit))
    away = np.abs(centres[:, np.newaxis] - np.arange(chosen.start, chosen.stop))
    return chosen, np.maximum(1 - away, 0) if method == "bilinear" else _cubic(away)


def _cubic(away: NDArray[np.floating[Any]]) -> Weights:
    """Keys 1981, "Cubic convolution interpolation", with a = -0.5, as GDAL has it."""
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))


def _weighted(part: Masked, down: Weights, across: Weights) -> Masked:
    """The sums of neighbours that have a value, by how much these weigh together.

    Args:
        down: (rows of the result, rows of the part).
        across: (columns of the result, columns of the part).
    """
    values, missing = np.ma.getdata(part), np.ma.getmaskarray(part) | np.isnan(np.ma.getdata(part))
    if missing.any():
        there = np.where(missing, 0, values).astype(np.float64)
        weights = down @ (~missing).astype(np.float64) @ across.T
        none = weights < _LEAST
        return rounded(part.dtype, np.where(none, np.nan, down @ there @ across.T / np.where(none, 1, weights)))
    exact = np.float32 if part.dtype.itemsize <= 2 or part.dtype == np.float32 else np.float64
    down, across = ((each / each.sum(axis=1, keepdims=True)).astype(exact) for each in (down, across))
    return rounded(part.dtype, down @ values.astype(exact) @ across.T)
