import geopandas as gpd
import numpy as np
from shapely.geometry import box

from tileserver import udf


@udf(maxzoom=24, layer="golden")
def squares(bounds, period: float = 10.0):
    """Every other square of a grid that the tiles have no part in: its corners are whole periods of degrees.

    From far, where they would be countless, there are none.
    """
    west, south, east, north = np.floor(np.array(bounds) / period).astype(int)
    if east - west > 64:
        return None
    pole = int(80 / period)
    down = range(max(south - 8, -pole), min(north + 9, pole))
    cells = [(i, j) for i in range(west - 8, east + 9) for j in down if (i + j) % 2 == 0]
    colours = [{"red": 40, "green": (i * 53 + 17) % 256, "blue": (j * 29 + 101) % 256} for i, j in cells]
    shapes = [box(i * period, j * period, (i + 1) * period, (j + 1) * period) for i, j in cells]
    return gpd.GeoDataFrame(colours, geometry=shapes, crs=4326)
