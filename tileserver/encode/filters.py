"""PNG's filters: rows of bytes as differences from what is beside or above them, which deflate takes less room for.

https://www.w3.org/TR/png-3/#9Filters
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint8]
"""(height, bytes of a row)."""

_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)
_LOOK: Final = 8
"""Every so many rows are looked at to choose a filter for all, or to find noise."""


def unfiltered(rows: Rows) -> Rows:
    """The rows, each behind the number of its filter, which does nothing."""
    return _numbered(rows, _NONE)


def filtered(rows: Rows, step: int) -> Rows:
    """The rows as differences from the pixel to the left, or from the one above, whichever is less in a sample of them.

    Args:
        step: bytes of a pixel.
    """
    some = slice(_LOOK, None, _LOOK)
    here, above = rows[some], rows[some.start - 1 : -1 : _LOOK][: len(rows[some])]
    beside, below = _weight(here[:, step:] - here[:, :-step]), _weight(here - above)
    return _up(rows) if below < beside else _sub(rows, step)


def is_noise(differences: Rows) -> bool:
    """Whether most bytes differ from those beside or above them, in a sample of the rows that a filter left."""
    some = differences[::_LOOK]
    return bool(2 * np.count_nonzero(some) > some.size)


def best(rows: Rows, step: int) -> Rows:
    """Each row through the one of the five filters that leaves the least."""
    tries = np.stack([unfiltered(rows), _sub(rows, step), _up(rows), _averaged(rows, step), _paeth(rows, step)])
    weights = np.minimum(tries[..., 1:], -tries[..., 1:]).sum(axis=2, dtype=np.int64)
    return np.asarray(tries[weights.argmin(axis=0), np.arange(len(rows))])


def _weight(differences: Rows) -> int:
    """The sum of how far differences modulo 256 are from none."""
    return int(np.abs(differences.view(np.int8)).view(np.uint8).sum(dtype=np.uint64))


def _numbered(rows: Rows, number: int) -> Rows:
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    out[:, 0] = number
    out[:, 1:] = rows
    return out


def _sub(rows: Rows, step: int) -> Rows:
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    out[:, 0] = _SUB
    out[:, 1 : 1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=out[:, 1 + step :])
    return out


def _up(rows: Rows) -> Rows:
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    out[:, 0] = _UP
    out[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])
    return out


def _averaged(rows: Rows, step: int) -> Rows:
    left, above, _ = _neighbours(rows, step)
    return _numbered(rows - ((left + above) >> 1).astype(np.uint8), _AVERAGE)


def _paeth(rows: Rows, step: int) -> Rows:
    left, above, corner = _neighbours(rows, step)
    guess = left + above - corner
    to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    nearest = np.where(to_above <= to_corner, above, corner)
    nearest = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
    return _numbered(rows - nearest.astype(np.uint8), _PAETH)


def _neighbours(rows: Rows, step: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each byte that of the pixel to the left, above, and above to the left; 0 beyond the edge."""
    framed = np.zeros((rows.shape[0] + 1, rows.shape[1] + step), np.int16)
    framed[1:, step:] = rows
    return framed[1:, :-step], framed[:-1, step:], framed[:-1, :-step]
