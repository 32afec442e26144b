"""A vector tile within its budget of bytes: coarser lines, then without the smallest, then evenly fewer.

Which features stay follows from where they are and how large, never from chance, so that neighbouring tiles decide
alike on what both have.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import clip, mvt, quantise
from tileserver.encode.clip import Some
from tileserver.encode.quantise import Shapes
from tileserver.tiles import Tile

Rows = NDArray[np.int64]

_COARSER: Final = (1.0, 4.0)
"""Units that a path may be moved by; sixteen are a pixel of a tile of 256."""
_SMALLEST: Final = (2.0, 4.0, 8.0, 16.0)
"""Units: features whose bounds have no longer side are left out, the shortest first."""
_SURELY: Final = 1.3
"""Of the limit: what by its share of features is above that is not tried."""
_CELLS: Final = tuple(2.0**power for power in range(2, 13))
"""Units: of all features whose middles share a square of that side, the largest is left."""


class Fitted(NamedTuple):
    """A tile, and what it took to fit."""

    body: bytes
    mended: int
    """Features whose areas were not valid."""
    tolerance: float
    """Units that paths were moved by at most to have fewer points."""
    dropped: int
    """Features that are on the tile and were left out."""

    @property
    def changes(self) -> str:
        """What is out of the ordinary, as text."""
        coarse = self.tolerance if self.tolerance > quantise.TOLERANCE else 0
        said = {"mended": self.mended, "tolerance": coarse, "dropped": self.dropped}
        return ", ".join(f"{name}={number:g}" for name, number in said.items() if number)


Write = Callable[[Shapes], bytes]


def encode(
    layers: dict[str, Some], tile: Tile, *, limit: int, extent: int = 4096, buffer: int, id_column: str | None
) -> Fitted:
    """A vector tile of at most `limit` bytes, where that can be, with a layer of each frame, by its name.

    Of several layers each gives the same share of its bytes. Other arguments and errors are those of `mvt.encode`.
    """
    whole = [_Layer(name, some, tile, extent, buffer, id_column) for name, some in layers.items()]
    share = min(limit / max(sum(len(each.body) for each in whole), 1), 1)
    fitted = [each.fitted(int(share * len(each.body))) for each in whole]
    return Fitted(
        b"".join(each.body for each in fitted),
        sum(each.mended for each in fitted),
        max((each.tolerance for each in fitted), default=0.0),
        sum(each.dropped for each in fitted),
    )


class _Layer:
    """A frame on a tile."""

    def __init__(self, name: str, some: Some, tile: Tile, extent: int, buffer: int, id_column: str | None) -> None:
        self._name, self._frame, self._tile, self._extent, self._id_column = name, some.frame, tile, extent, id_column
        self._found = clip.on_tile(some, tile, extent, buffer)
        self._shapes = quantise.shapes(self._found)
        self.body = self._written(self._shapes)
        """As it is where there is no limit."""

    def fitted(self, limit: int) -> Fitted:
        """The layer, of so many bytes at most if that can be."""
        if len(self.body) <= limit:
            return Fitted(self.body, self._shapes.mended, quantise.TOLERANCE, 0)
        shapes, body, tolerance = self._coarser(limit)
        rows = shapes.rows()
        left = len(rows)
        if len(body) > limit:
            choices = _fewer(*clip.extents(self._frame, rows, self._tile, self._extent))
            body, left = _thinned(shapes, rows, choices, len(body), limit, self._written)
        return Fitted(body, shapes.mended, tolerance, len(self._shapes.rows()) - left)

    def _coarser(self, limit: int) -> tuple[Shapes, bytes, float]:
        """Paths moved by as little as fits, else by the most that leaves anything; for what does not fit as it is."""
        shapes, body, tolerance = self._shapes, self.body, quantise.TOLERANCE
        for step in _COARSER if len(shapes.lines.rows) or len(shapes.rings.rows) else ():
            coarse = quantise.shapes(self._found, step)
            if not len(coarse.rows()):
                break
            shapes, body, tolerance = coarse, self._written(coarse), step
            if len(body) <= limit:
                break
        return shapes, body, tolerance

    def _written(self, shapes: Shapes) -> bytes:
        return mvt.write(self._frame, shapes, layer=self._name, extent=self._extent, id_column=self._id_column)


def _thinned(
    shapes: Shapes, rows: Rows, choices: Iterator[NDArray[np.bool_]], size: int, limit: int, write: Write
) -> tuple[bytes, int]:
    """The tile with the first choice of rows that fits, else with the last; and how many these are.

    Args:
        size: bytes with all rows.
    """

    def written(kept: NDArray[np.bool_]) -> bytes:
        there = np.zeros(int(rows[-1]) + 1, bool)
        there[rows[kept]] = True
        return write(shapes.of(there))

    body, kept = b"", np.ones(len(rows), bool)
    for kept in choices:
        if size * int(kept.sum()) / len(rows) <= limit * _SURELY:
            body = written(kept)
            if len(body) <= limit:
                break
    return body or written(kept), int(kept.sum())


def _fewer(middles: NDArray[np.float64], sides: NDArray[np.float64]) -> Iterator[NDArray[np.bool_]]:
    """Ever fewer features, but never none; those without any extent, as points, are not among the smallest."""
    large = np.arange(len(sides))
    for side in _SMALLEST:
        kept = (sides == 0) | (sides > side)
        if not kept.any():  # all are small: they are thinned evenly
            break
        large = np.flatnonzero(kept)
        yield kept
    large = large[np.argsort(-sides[large], kind="stable")]
    for side in _CELLS:
        _, first = np.unique(np.floor(middles[large] / side), axis=0, return_index=True)
        kept = np.zeros(len(sides), bool)
        kept[large[first]] = True
        yield kept
