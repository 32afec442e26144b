"""Shaded relief of a planet that does not exist.

The elevation is noise on lattices that halve from octave to octave, each lattice point's value a hash of its address
in the world: so neighbouring tiles agree, the 180th meridian closes, and the deeper the zoom the more octaves there
are.
"""

import numpy as np
from numpy.typing import NDArray

from tileserver import Tile, udf

Grid = NDArray[np.float64]

CONTINENTS = 2
"""The first octave: 4 lattice cells around the world."""
ROUGHNESS = 0.56
"""What one octave's amplitude is to the one before."""
TINTS = [
    (-1.00, (38, 66, 110)),
    (-0.30, (72, 116, 165)),
    (-0.02, (146, 190, 214)),
    (0.00, (170, 208, 220)),
    (0.001, (118, 158, 106)),
    (0.12, (160, 188, 126)),
    (0.28, (222, 212, 158)),
    (0.50, (190, 152, 110)),
    (0.75, (150, 120, 104)),
    (0.95, (245, 244, 242)),
]
"""Height, colour: bathymetric and hypsometric."""


@udf(kind="raster", minzoom=0, maxzoom=20, attribution="Noise")
def relief(tile: Tile, exaggeration: float = 1.0, azimuth: float = 315.0) -> NDArray[np.uint8]:
    """Hill-shaded relief with tints of height and depth.

    exaggeration: of the heights in the shading; 0 leaves the tints alone.
    azimuth: where the light comes from, degrees clockwise from north.
    """
    height = elevation(tile, margin=1)
    shade = hillshade(height, exaggeration * steepness(tile), azimuth)
    height = height[1:-1, 1:-1]
    light = np.where(height > 0, shade, 1 + (shade - 1) * 0.35)  # water hides its floor
    return np.clip(tint(height) * light[..., None], 0, 255).astype(np.uint8)


def elevation(tile: Tile, margin: int = 0) -> Grid:
    """Heights, about -1 to 1 with the sea level at 0, of (size + 2 margin) squared pixel centres, north up."""
    pixels = np.arange(-margin, tile.size + margin) + 0.5
    columns, rows = ((pixels / tile.size + at) / 2**tile.z for at in (tile.x, tile.y))
    height = np.full((len(rows), len(columns)), 0.06)
    amplitude = 1.5
    for octave in range(CONTINENTS, tile.z + 7):
        # Highlands are rougher than plains and sea floors: Musgrave's heterogeneous terrain.
        height += amplitude * np.clip(height + 0.35, 0.12, 1.0) * noise(columns, rows, octave)
        amplitude *= ROUGHNESS
    return height


def noise(columns: Grid, rows: Grid, octave: int) -> Grid:
    """Cubic B-spline noise, -1 to 1, on a lattice of 2**octave cells around the world."""
    x, across = spline(columns * 2**octave)
    y, down = spline(rows * 2**octave)
    return down @ lattice(x % 2**octave, y, octave) @ across.T


def spline(at: Grid) -> tuple[NDArray[np.int64], Grid]:
    """Lattice points that positions lie between, and a matrix (positions, points) of their weights."""
    cell = np.floor(at).astype(np.int64)
    t = at - cell
    weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
    points = np.arange(cell[0] - 1, cell[-1] + 3)
    matrix = np.zeros((len(at), len(points)))
    for tap, weight in enumerate(weights):
        matrix[np.arange(len(at)), cell - cell[0] + tap] = weight
    return points, matrix


def lattice(x: NDArray[np.int64], y: NDArray[np.int64], octave: int) -> Grid:
    """A number from -1 to 1 for each lattice point: Murmur3's finaliser over its address."""
    mixed = x[None, :].astype(np.uint64) << np.uint64(32) ^ y[:, None].astype(np.uint64) ^ np.uint64(octave << 58)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ mixed >> np.uint64(33)) * np.uint64(factor)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**52 - 1


def steepness(tile: Tile) -> float:
    """Pixels per unit of height, so that mountains look alike at every zoom: slopes themselves grow with it."""
    return 14 * (tile.size / 256) * ROUGHNESS**-tile.z


def hillshade(height: Grid, scale: float, azimuth: float) -> Grid:
    """Light on the surface, 1 where it is flat, for all but the outermost pixels; the sun is 45 degrees high."""
    east = (height[1:-1, 2:] - height[1:-1, :-2]) / 2 * scale
    south = (height[2:, 1:-1] - height[:-2, 1:-1]) / 2 * scale
    angle = np.radians(azimuth)
    toward = -east * np.sin(angle) + south * np.cos(angle)
    light: Grid = (1 + toward) / np.sqrt(1 + east**2 + south**2)
    return light.clip(0.25, 1.5)


def tint(height: Grid) -> Grid:
    """Colours (height, width, 3), 0 to 255."""
    stops, colours = zip(*TINTS, strict=True)
    return np.stack([np.interp(height, stops, channel) for channel in zip(*colours, strict=True)], axis=-1)
