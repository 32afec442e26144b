import numpy as np

from tileserver import udf


@udf(maxzoom=30)
def address(tile, z, x, y) -> np.ndarray:
    """The colour of every pixel is the tile's address: zoom, and the low bytes of column and row."""
    pixels = np.empty((4, tile.size, tile.size), dtype=np.uint8)
    pixels[0], pixels[1], pixels[2], pixels[3] = z, x & 255, y & 255, 255
    return pixels
