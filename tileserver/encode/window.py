"""A part of a raster, and where along its axes the pixels lie that are made of it."""

import math
from typing import Final, NamedTuple

REACH: Final = {"bilinear": 1, "cubic": 2}
"""Pixels to each side that count, of the methods that are smooth."""


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

    def axes(self, size: int, height: int, width: int, method: str) -> tuple["Axis", "Axis"]:
        """From top to bottom and from left to right.

        Args:
            size: Pixels that are made along each.
            height: Pixels of the raster.
            width: The same.
            method: By which they are made.
        """
        down = _along(self.top, self.height / size, size, height, method)
        return down, _along(self.left, self.width / size, size, width, method)


class Axis(NamedTuple):
    """Pixels along an axis from which others are made, and where these lie."""

    pixels: slice
    offset: float
    """Of the middle of the first that is made from the middle of the first that counts; of "nearest" from its edge."""
    step: float
    size: int
    method: str


def _along(start: float, step: float, size: int, limit: int, method: str) -> Axis:
    """Args: limit: how many pixels there are."""
    first = start + step / 2
    before, after = 0, 1
    if method in REACH:
        first -= 0.5
        before, after = REACH[method] - 1, REACH[method] + 1
    pixels = slice(max(math.floor(first) - before, 0), min(math.floor(first + step * (size - 1)) + after, limit))
    return Axis(pixels, first - pixels.start, step, size, method)
