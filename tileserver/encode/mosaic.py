"""Bands in squares, each with the lines of all bands one after the other: a window lies on few pages of memory."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 256
"""Pixels of a square's side, at most."""
_AROUND: Final = 2
"""Pixels around it that are stored with it, too, so that what counts beside a window lies in the same piece."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Bands as they are stored."""

    squares: NDArray[Any]
    """(down, across, rows, bands, columns), with what is around them; beyond the bands' edges nothing that counts."""
    height: int
    width: int
    finite: bool
    """Whether all values are."""

    @property
    def bands(self) -> int:
        """How many there are."""
        return int(self.squares.shape[3])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.squares.dtype

    def read(self, rows: slice, columns: slice, dtype: Any = None) -> NDArray[Any]:
        """(rows, bands, columns) of a window; without a type not copied where that lies in one square.

        Args:
            rows: Start and stop, of which the window has at least one; so have the columns.
            columns: The same.
            dtype: Of the values; by default their own.
        """
        row, inside = _within(rows, self.squares.shape[2])
        column, beside = _within(columns, self.squares.shape[4])
        if inside and beside:
            part = self.squares[row, column, inside, :, beside]
            return part if dtype is None else part.astype(dtype)
        read = np.empty((rows.stop - rows.start, self.bands, columns.stop - columns.start), dtype or self.dtype)
        for row, inside, below in _spans(rows, self.squares.shape[2]):
            for column, beside, behind in _spans(columns, self.squares.shape[4]):
                read[below, :, behind] = self.squares[row, column, inside, :, beside]
        return read


def of(bands: NDArray[Any]) -> Mosaic:
    """Args: bands: (bands, height, width)."""
    count, height, width = bands.shape
    (down, rows), (across, columns) = _sides(height), _sides(width)
    squares = np.zeros((down, across, rows + 2 * _AROUND, count, columns + 2 * _AROUND), bands.dtype)
    for row in range(down):
        for column in range(across):
            _fill(squares[row, column], bands.swapaxes(0, 1), row * rows - _AROUND, column * columns - _AROUND)
    return Mosaic(squares, height, width, bands.dtype.kind != "f" or bool(np.isfinite(bands).all()))


def bands_first(values: NDArray[Any], hidden: NDArray[np.bool_] | None) -> NDArray[Any]:
    """(bands, rows, columns) of what was read of a mosaic, or has its axes; masked where it is hidden.

    Args:
        values: (rows, bands, columns).
        hidden: The same of a mask, or of one that all bands share.
    """
    made = values.swapaxes(0, 1)
    return made if hidden is None else np.ma.MaskedArray(made, np.broadcast_to(hidden.swapaxes(0, 1), made.shape))


def _fill(square: NDArray[Any], lines: NDArray[Any], top: int, left: int) -> None:
    """Args: lines: (rows, bands, columns), of which those from `top` and `left` on are put there."""
    first, start = max(top, 0), max(left, 0)
    part = lines[first : top + square.shape[0], :, start : left + square.shape[2]]
    square[first - top :, :, start - left :][: part.shape[0], :, : part.shape[2]] = part


def _sides(length: int) -> tuple[int, int]:
    """How many squares lie along an axis, and their pixels."""
    count = -(-length // _SIDE)
    return count, -(-length // count)


def _within(pixels: slice, side: int) -> tuple[int, slice | None]:
    """The square in which their middle lies, along an axis, and which of its pixels they are; None if some are not.

    Args: side: Pixels that are stored of each.
    """
    own = side - 2 * _AROUND
    at = (pixels.start + pixels.stop) // 2 // own
    start, stop = (each - at * own + _AROUND for each in (pixels.start, pixels.stop))
    return at, slice(start, stop) if start >= 0 and stop <= side else None


def _spans(pixels: slice, side: int) -> list[tuple[int, slice, slice]]:
    """Of each square that the pixels meet along an axis its number, its pixels, and which of them these are."""
    own, spans = side - 2 * _AROUND, []
    for at in range(pixels.start // own, -(-pixels.stop // own)):
        start, stop = max(pixels.start, at * own), min(pixels.stop, (at + 1) * own)
        square = slice(start - at * own + _AROUND, stop - at * own + _AROUND)
        spans.append((at, square, slice(start - pixels.start, stop - pixels.start)))
    return spans
