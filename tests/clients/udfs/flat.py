import numpy as np

from tileserver import udf


@udf(kind="raster", maxzoom=24)
def flat(tile):
    """One colour over every tile there is."""
    return np.broadcast_to(np.array([60, 120, 180], np.uint8), (tile.size, tile.size, 3))
