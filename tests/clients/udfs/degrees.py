import numpy as np

from tileserver import udf


def wave(degrees: np.ndarray, period: float) -> np.ndarray:
    """0 at whole periods, 255 half-way between them, straight in between."""
    return 255 * (1 - np.abs(2 * (degrees / period % 1) - 1))


@udf(maxzoom=24, attribution="Golden <b>degrees</b>")
def degrees(tile, bounds, period: float = 40.0) -> np.ndarray:
    """Red follows the longitude and green the latitude of each pixel's middle, from the bounds in degrees."""
    west, south, east, north = bounds
    middles = (np.arange(tile.size) + 0.5) / tile.size
    low, high = (np.arctanh(np.sin(np.radians(edge))) for edge in (south, north))
    latitudes = np.degrees(np.arcsin(np.tanh(high + (low - high) * middles)))
    pixels = np.zeros((3, tile.size, tile.size), dtype=np.uint8)
    pixels[0] = np.round(wave(west + (east - west) * middles, period))[None, :]
    pixels[1] = np.round(wave(latitudes, period))[:, None]
    return pixels
