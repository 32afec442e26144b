"""The Mandelbrot set as a world map, down to zoom 30.

The world is the square from -2.5-2i to 1.5+2i. Colours are smooth because they come from the continuous escape time,
which stays the same however many steps are done beyond the escape: so it is enough to look for escapes every few
steps.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tileserver import Tile, udf

STEPS = 5
"""Between two looks. An orbit that was below RADIUS is then below RADIUS ** 32, whose square is still a float64."""
RADIUS = 256.0
PALETTES = {
    "dusk": ["#0b1033", "#27408b", "#8fb8de", "#fdf3dc", "#f0a35e", "#8c2f39", "#2a0f2e"],
    "ember": ["#120608", "#5c1010", "#c8411b", "#f8a13f", "#fff3c4", "#a3562a", "#3a1410"],
    "lagoon": ["#04141f", "#0b4f6c", "#01baaf", "#e8fcc2", "#7fd1ae", "#20639b", "#0c1f3f"],
    "ink": ["#ffffff", "#777777", "#111111", "#777777"],
}


@udf(kind="raster", minzoom=0, maxzoom=30)
def mandelbrot(
    tile: Tile, palette: Literal["dusk", "ember", "lagoon", "ink"] = "dusk", iterations: int = 0
) -> NDArray[np.uint8]:
    """Escape times of z -> z**2 + c.

    palette: of the colours outside the set, repeated.
    iterations: steps before a point counts as inside; 0 takes more the deeper the zoom, and none takes more than 5000.
    """
    limit = min(iterations, 5000) if iterations > 0 else 100 + 40 * tile.z
    return paint(escape_times(points(tile), limit), palette)


def points(tile: Tile) -> NDArray[np.complex128]:
    """The numbers (size, size) at the centres of the tile's pixels."""
    pixels = (np.arange(tile.size) + 0.5) / tile.size
    real, imaginary = (4 * (pixels + at) / 2**tile.z for at in (tile.x, tile.y))
    c: NDArray[np.complex128] = (real - 2.5) + 1j * (2 - imaginary)[:, None]
    return c


def escape_times(c: NDArray[np.complex128], limit: int) -> NDArray[np.float64]:
    """Steps, with their fraction, until |z| is large; NaN where that takes more than `limit`."""
    times = np.full(c.size, np.nan)
    left = np.flatnonzero(~inside(c))
    c = c.ravel()[left]
    z = np.zeros_like(c)
    for step in range(STEPS, limit + STEPS, STEPS):
        for _ in range(STEPS):
            z *= z
            z += c
        squared = z.real**2 + z.imag**2
        out = squared > RADIUS**2
        if out.any():
            times[left[out]] = step + 1 - np.log2(np.log2(squared[out]) / 2)
            left, c, z = left[~out], c[~out], z[~out]
    return times.reshape(-1, int(times.size**0.5))


def inside(c: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Whether a number lies in the main cardioid or the disc beside it, which would take all the steps."""
    q = (c.real - 0.25) ** 2 + c.imag**2
    return (q * (q + c.real - 0.25) <= c.imag**2 / 4) | ((c.real + 1) ** 2 + c.imag**2 <= 1 / 16)


def paint(times: NDArray[np.float64], palette: str) -> NDArray[np.uint8]:
    """Colours (height, width, 3); black inside."""
    colours = np.array([list(bytes.fromhex(each[1:])) for each in PALETTES[palette]], float)
    turns = 0.9 * np.sqrt(np.clip(np.nan_to_num(times), 0, None)) % len(colours)
    rgb = np.stack([np.interp(turns, range(len(colours) + 1), [*each, each[0]]) for each in colours.T], axis=-1)
    return np.where(np.isnan(times)[..., None], 0, rgb).astype(np.uint8)
