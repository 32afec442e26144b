"""Pixels between those of a raster: sums of these by weight, of which colours are made before they are rounded."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.mosaic import Mosaic, bands_first
from tileserver.encode.warp import as_type, floats
from tileserver.encode.window import REACH, Axis, Window

_ACROSS: Final = 16
"""Pixels of a strip along rows, at most."""
_DOWN: Final = 8
"""The same along columns, where products of smaller matrices are faster."""
LEAST_WEIGHT: Final = 1e-6
"""Weight of neighbours with a value below which a pixel has none, as in GDAL's warper."""
_HALF: Final = 0.5
"""Beyond the last step: what is so far above it is it still."""
_SLIGHT: Final = 2.0**-10
"""Of a step: more than sums of single precision are off, so that what is all alike has one colour."""
_FAR: Final = 16.0
"""Limits as many times their distance away from zero are too close together for single precision."""
_MOST: Final = 1e9
"""Steps from any limit, beyond which numbers need not be exact."""
_NARROWEST: Final = 1e-30
"""Distance of limits below which steps of single precision are infinitely many."""
_SPREAD: Final = {"bilinear": 1.0, "cubic": 1.25**2}
"""How far apart sums may lie, in times of what they are of: the sum of weights as if none were below zero."""
Limits = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Smooth:
    """Pixels that have yet to be made, when it is known what of them is wanted."""

    values: NDArray[Any]
    """(rows, bands, columns) of finite floats: what they are made of."""
    there: NDArray[np.bool_] | None
    """Which of these count, of one band where all have it in common; None for all."""
    dtype: np.dtype[Any]
    """Of the raster."""
    down: Axis
    across: Axis

    @property
    def count(self) -> int:
        """Of bands."""
        return int(self.values.shape[1])

    def some(self, bands: list[int] | slice) -> "Smooth":
        """Of the bands, counted from 0."""
        there = self.there if self.there is None or self.there.shape[1] == 1 else self.there[:, bands]
        return replace(self, values=np.ascontiguousarray(self.values[:, bands]), there=there)

    def array(self) -> NDArray[Any]:
        """(bands, height, width) of the raster's type, masked where there is none."""
        made, none = self._made(self.values)
        return bands_first(self._typed(made), none)

    def steps(self, limits: tuple[Limits, ...], top: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """(bands, height, width) of whole numbers from 0 to `top` by how far a pixel is between limits, and their mask.

        They are made of the raster's own pixels before these are stretched, as there are fewer, and not rounded to its
        type in between. The mask is of one band where all have it in common; None where all neighbours have a value.
        Where there is none the number is 0.

        Args:
            limits: Of each band, `are_fine`.
            top: At most 255.
        """
        scale = _scale(limits, top, self.dtype)
        numbers = self._numbers(scale)
        low, high, spread = float(numbers.min()), float(numbers.max()), _SPREAD[self.down.method]
        if low < -_MOST or high > _MOST:
            np.clip(numbers, -_MOST, _MOST, out=numbers)
        made, none = self._made(numbers)
        beyond = (spread - 1) * (high - low) / 2
        if low - beyond < scale.within[0] or high + beyond > scale.within[1] or (none is not None and spread > 1):
            np.clip(made, scale.low, scale.high, out=made)
        steps = made.astype(np.uint8)
        if none is None:
            return steps.swapaxes(0, 1), None
        if scale.within[0] >= 1:  # to which what is not there was raised
            steps *= ~none
        return steps.swapaxes(0, 1), none.swapaxes(0, 1)

    def _numbers(self, scale: "_Scale") -> NDArray[Any]:
        """In steps, of single precision."""
        with np.errstate(over="ignore"):
            numbers: NDArray[Any] = (self.values if scale.each is None else self.values * scale.each) + scale.more
            return numbers.astype(np.float32, copy=False)

    def _made(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """(rows, bands, columns): the sums of neighbours that are there, by how much these weigh together."""
        if self.there is None:
            return self._summed(values), None
        if not self.there.any():
            sides = self.down.size, self.across.size
            return np.zeros((sides[0], self.count, sides[1]), values.dtype), np.ones((sides[0], 1, sides[1]), bool)
        there = self.there.astype(values.dtype)
        weights, sums = self._summed(there), self._summed(values * there)
        none = weights < LEAST_WEIGHT
        np.copyto(weights, np.inf, where=none)  # by which a sum is 0
        sums /= weights
        return sums, none

    def _summed(self, values: NDArray[Any]) -> NDArray[Any]:
        """(rows, bands, columns) along rows, then along columns; of all bands at once.

        Args: values: As they lie in memory.
        """
        height, bands, width = values.shape
        down = _strips(*self.down[1:], height, values.dtype.str, _DOWN)
        across = _strips(*self.across[1:], width, values.dtype.str, _ACROSS)
        lines = values.reshape(height * bands, width)
        wide = np.empty((len(lines), *across.shares.shape[:2]), values.dtype)
        np.matmul(_near(lines, across, 1), across.turned, out=wide.swapaxes(0, 1))
        rows = wide.reshape(height, -1)
        made: NDArray[Any] = down.shares @ _near(rows, down, 0)
        return made.reshape(-1, bands, rows.shape[1] // bands)

    def _typed(self, made: NDArray[Any]) -> NDArray[Any]:
        """Sums as a type; those of "bilinear" lie between what they are of, and need not be cut off at its limits."""
        if self.dtype.kind not in "iu" or self.dtype.itemsize > 4 or self.down.method != "bilinear":
            return as_type(self.dtype, made)
        whole: NDArray[Any] = np.rint(made, out=made).astype(self.dtype)
        return whole


def of(bands: Mosaic, mask: Mosaic | None, window: Window, size: int, method: str) -> Smooth:
    """`size` pixels squared between those of a window; `resample.finer` says of what.

    Args: method: "bilinear" or "cubic".
    """
    down, across = window.axes(size, bands.height, bands.width, method)
    values = bands.read(down.pixels, across.pixels, floats(bands.dtype))
    hidden = None if mask is None else mask.read(down.pixels, across.pixels)
    known = None if bands.finite else np.isfinite(values)
    if known is not None:
        # by their bits, without a branch as `np.where` has
        bits = values.view(f"u{values.dtype.itemsize}")
        bits *= known
    return Smooth(values, _there(known, hidden), bands.dtype, down, across)


def are_fine(limits: tuple[Limits, ...]) -> bool:
    """Whether `Smooth.steps` can tell how far a number is between them."""
    return all(_NARROWEST < high - low < 1 / _NARROWEST for low, high in limits)


class _Scale(NamedTuple):
    """From values to steps: of one band where all have the same limits."""

    each: NDArray[Any] | None
    """By what values are multiplied; None for 1."""
    more: NDArray[Any]
    """What is added then."""
    low: NDArray[np.float32]
    """Steps below which no sum goes: 0, or that of the least value of the raster's type."""
    high: NDArray[np.float32]
    within: tuple[float, float]
    """The highest of these and the lowest of those."""


@lru_cache(64)
def _scale(limits: tuple[Limits, ...], top: int, dtype: np.dtype[Any]) -> _Scale:
    """The same for all tiles of a layer.

    Args:
        limits: Of each band.
        top: What the upper limit becomes.
        dtype: Of the raster.
    """
    limits = limits[:1] if len(set(limits)) == 1 else limits
    low, high = np.array(limits).T[..., np.newaxis]
    each = top / (high - low)
    more = np.array([[_more(*own, top) if dtype.kind in "iu" else _SLIGHT] for own in limits])
    near = bool((np.maximum(abs(low), abs(high)) <= _FAR * (high - low)).all())
    exact = floats(dtype) if near else np.float64
    ends = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (-np.inf, np.inf)
    lowest, highest = (np.clip((end - low) * each + more, 0, top + _HALF).astype(np.float32) for end in ends)
    own = None if (each == 1).all() else each.astype(exact)
    within = float(lowest.max()), float(highest.min())
    return _Scale(own, (more - low * each).astype(exact), lowest, highest, within)


def _more(low: float, high: float, top: int) -> float:
    """Half of what whole numbers lie below the next step at least: they have the step that they have by themselves."""
    each = Fraction(top) / (Fraction(high) - Fraction(low))
    return max(1 / (2 * math.lcm(each.denominator, (each * Fraction(low)).denominator)), _SLIGHT)


def _there(known: NDArray[np.bool_] | None, hidden: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """(rows, bands or 1, columns): what is known and not hidden; None where that is all."""
    if known is None and hidden is None:
        return None
    there = np.asarray(known if hidden is None else ~hidden if known is None else known & ~hidden)
    if there.all():
        return None
    # of masks those that bands have in common are known as such
    return there[:, :1] if hidden is None and (there == there[:, :1]).all() else there


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
    reach, at = REACH[method], (offset + np.arange(size) * step).reshape(-1, math.gcd(size, most), 1)
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


def _near(values: NDArray[Any], strips: _Strips, axis: int) -> NDArray[Any]:
    """(strips, rows, columns): of each strip its neighbours along an axis, not copied where strips lie evenly.

    Args: values: (rows, columns), as they lie in memory.
    """
    if not strips.every:
        return np.moveaxis(values.take(strips.places, axis), axis, 0)
    way, shape = values.strides[axis], [strips.places.shape[0], *values.shape]
    shape[axis + 1] = strips.places.shape[1]
    return np.ndarray(shape, values.dtype, values, strips.places[0, 0] * way, (strips.every * way, *values.strides))
