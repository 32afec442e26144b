"""A window of a raster as a square of as many or more pixels, along its own axes: what needs none of GDAL's warper."""

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.mosaic import Mosaic, bands_first
from tileserver.encode.warp import as_type

Array = NDArray[Any]

_ACROSS: Final = 16
"""Pixels of a strip along rows, at most."""
_DOWN: Final = 8
"""The same along columns, where products of smaller matrices are faster."""
METHODS: Final = frozenset({"nearest", "bilinear", "cubic", "mode"})
_REACH: Final = {"bilinear": 1, "cubic": 2}
"""Pixels to each side that count."""
LEAST_WEIGHT: Final = 1e-6
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


def finer(bands: Mosaic, mask: Mosaic | None, window: Window, size: int, method: str) -> Array:
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
    down = _along(window.top, window.height / size, size, bands.height, method)
    across = _along(window.left, window.width / size, size, bands.width, method)
    return (_weighted if method in _REACH else _nearest)(bands, mask, down, across)


class _Axis(NamedTuple):
    """Pixels along an axis from which others are made, and where these lie."""

    pixels: slice
    offset: float
    """Of the middle of the first that is made from the middle of the first that counts; of "nearest" from its edge."""
    step: float
    size: int
    method: str


def _along(start: float, step: float, size: int, limit: int, method: str) -> _Axis:
    """Args: limit: how many pixels there are."""
    first = start + step / 2
    before, after = 0, 1
    if method in _REACH:
        first -= 0.5
        before, after = _REACH[method] - 1, _REACH[method] + 1
    pixels = slice(max(math.floor(first) - before, 0), min(math.floor(first + step * (size - 1)) + after, limit))
    return _Axis(pixels, first - pixels.start, step, size, method)


def _nearest(bands: Mosaic, mask: Mosaic | None, down: _Axis, across: _Axis) -> Array:
    """The pixels in which others lie."""
    return bands_first(_repeated(bands, down, across), None if mask is None else _repeated(mask, down, across))


def _repeated(stored: Mosaic, down: _Axis, across: _Axis) -> NDArray[Any]:
    values = stored.read(down.pixels, across.pixels)
    return _widened(values, across).take(_places(*down[1:4], len(values)), axis=0)


def _widened(values: NDArray[Any], across: _Axis) -> NDArray[Any]:
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


class _Strips(NamedTuple):
    """Neighbours that count for some pixels at a time, and how much: a product of small matrices for each."""

    places: NDArray[np.intp]
    """(strips, neighbours)."""
    shares: NDArray[np.floating[Any]]
    """(strips, pixels that are made, neighbours); of each pixel a sum of 1."""
    turned: NDArray[np.floating[Any]]
    """(strips, neighbours, pixels): the same as lines of memory, which doubles the speed of a product with lines."""
    every: int
    """Pixels from a strip's first neighbour to that of the next; 0 where these differ."""


@lru_cache(32)
def _strips(offset: float, step: float, size: int, method: str, count: int, dtype: str, most: int) -> _Strips:
    """The same for most tiles of a zoom.

    Args:
        count: Pixels that there are.
        most: Pixels of a strip, at most.
    """
    reach, at = _REACH[method], (offset + np.arange(size) * step).reshape(-1, math.gcd(size, most), 1)
    first, last = np.floor(at[:, 0]) + 1 - reach, np.floor(at[:, -1]) + reach
    places = first + np.arange((last - first).max() + 1)
    away = np.abs(at - places[:, np.newaxis])
    weights = np.maximum(1 - away, 0) if method == "bilinear" else _cubic(away)
    weights *= ((places >= 0) & (places < count))[:, np.newaxis]
    shares = (weights / weights.sum(axis=2, keepdims=True)).astype(dtype)
    inside = places.clip(0, count - 1).astype(np.intp)
    ways = np.unique(np.diff(places[:, 0])).astype(int)
    every = ways[0] if len(ways) == 1 and np.array_equal(inside, places) else 0
    return _Strips(inside, shares, np.ascontiguousarray(shares.swapaxes(1, 2)), every)


def _cubic(away: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Keys 1981, "Cubic convolution interpolation", with a = -0.5, as GDAL has it."""
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))


def _weighted(bands: Mosaic, mask: Mosaic | None, down: _Axis, across: _Axis) -> Array:
    """The sums of neighbours that have a finite value, by how much these weigh together."""
    dtype = "f4" if bands.dtype.itemsize <= 2 or bands.dtype == np.float32 else "f8"
    values = bands.read(down.pixels, across.pixels, dtype)
    hidden = None if mask is None else mask.read(down.pixels, across.pixels)
    there = _there(values, hidden, finite=bands.finite)
    axes = _strips(*down[1:], len(values), dtype, _DOWN), _strips(*across[1:], values.shape[2], dtype, _ACROSS)
    if there is None or there.all():
        return bands_first(_typed(bands.dtype, _summed(values, *axes), down.method), None)
    if not there.any():
        return bands_first(np.zeros((down.size, bands.bands, across.size), bands.dtype), np.ones((1, 1, 1), bool))
    if there.shape[1] > 1 and (there == there[:, :1]).all():
        there = there[:, :1]  # mostly bands have their holes in common
    weights, found = _summed(there.astype(dtype), *axes), _summed(_known(values, there), *axes)
    none = weights < LEAST_WEIGHT
    found /= np.maximum(weights, LEAST_WEIGHT, out=weights)
    return bands_first(_typed(bands.dtype, found, down.method), none)


def _known(values: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    """Values, 0 where there is none: by their bits, of which NaN leaves none, and no branch as `np.where` has."""
    bits = values.view(f"u{values.dtype.itemsize}")
    return (bits * there).view(values.dtype)


def _there(values: NDArray[Any], hidden: NDArray[np.bool_] | None, *, finite: bool) -> Any:
    """Which have a finite value, (rows, bands or 1, columns); None where all must have."""
    known = None if finite else np.isfinite(values)
    if hidden is None:
        return known
    return ~hidden if known is None else known & ~hidden


def _typed(dtype: np.dtype[Any], made: NDArray[Any], method: str) -> NDArray[Any]:
    """Sums as a type; those of "bilinear" lie between what they are of, and need not be cut off at its limits."""
    if dtype.kind not in "iu" or dtype.itemsize > 4 or method != "bilinear":
        return as_type(dtype, made)
    whole: NDArray[Any] = np.rint(made, out=made).astype(dtype)
    return whole


def _summed(values: NDArray[Any], down: _Strips, across: _Strips) -> NDArray[Any]:
    """(rows, bands, columns) along rows, then along columns; of all bands at once.

    Args: values: As they lie in memory.
    """
    height, bands, width = values.shape
    lines = values.reshape(height * bands, width)
    wide = np.empty((len(lines), *across.shares.shape[:2]), values.dtype)
    np.matmul(_near(lines, across, 1), across.turned, out=wide.swapaxes(0, 1))
    rows = wide.reshape(height, -1)
    made: NDArray[Any] = down.shares @ _near(rows, down, 0)
    return made.reshape(-1, bands, rows.shape[1] // bands)


def _near(values: NDArray[Any], strips: _Strips, axis: int) -> NDArray[Any]:
    """(strips, rows, columns): of each strip its neighbours along an axis, not copied where strips lie evenly.

    Args: values: (rows, columns), as they lie in memory.
    """
    if not strips.every:
        return np.moveaxis(values.take(strips.places, axis), axis, 0)
    way, shape = values.strides[axis], [strips.places.shape[0], *values.shape]
    shape[axis + 1] = strips.places.shape[1]
    return np.ndarray(shape, values.dtype, values, strips.places[0, 0] * way, (strips.every * way, *values.strides))
