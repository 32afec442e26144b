import math

from shades import TOP

from tileserver import udf


@udf(kind="raster", maxzoom=int(math.sqrt(TOP)))
def computed(tile, factor: int = TOP // 2):
    """Options and defaults that only running tells."""
    import numpy as np

    return np.full((tile.size, tile.size), factor, dtype=np.uint8)
