import json

import numpy as np

from tileserver import udf


@udf(kind="raster", maxzoom=30, cache_max_age=0)
def victim(tile):
    """A tile that its address alone determines; each request runs it, and what others patch would show."""
    seed = json.loads(json.dumps([tile.z, tile.x, tile.y]))
    columns, rows = np.meshgrid(np.arange(tile.size), np.arange(tile.size))
    red = (columns * (seed[1] % 7 + 1) + seed[2]) % 251
    green = (rows * (seed[2] % 5 + 1) + seed[1]) % 241
    return np.asarray([red, green, np.full_like(red, seed[0])], dtype=np.uint8)
