import numpy as np

from tileserver import udf


@udf(maxzoom=30)
def strips(tile, z, x, y) -> np.ndarray:
    """Four strips from the north: red is the zoom, green and blue are the bytes of column and row, lowest first."""
    pixels = np.full((3, tile.size, tile.size), z, dtype=np.uint8)
    for strip, rows in enumerate(np.array_split(np.arange(tile.size), 4)):
        pixels[1, rows], pixels[2, rows] = x >> 8 * strip & 255, y >> 8 * strip & 255
    return pixels
