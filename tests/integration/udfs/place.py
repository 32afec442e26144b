import numpy as np

from tileserver import udf


@udf(maxzoom=30)
def place(bounds, tile) -> np.ndarray:
    """Red grows eastward and green northward within the tile, each from 0 to 255, computed from the bounds."""
    west, south, east, north = bounds
    across = np.linspace(west, east, tile.size)
    down = np.linspace(north, south, tile.size)
    red = (across - west) / (east - west) * 255
    green = (down - south) / (north - south) * 255
    pixels = np.zeros((3, tile.size, tile.size), dtype=np.uint8)
    pixels[0], pixels[1] = np.round(red)[None, :], np.round(green)[:, None]
    return pixels
