import geopandas as gpd
from shapely.geometry import box

from tileserver import udf


@udf(maxzoom=24, layer="golden")
def marks(tile, holes: bool = False):
    """The north-western quarter of the tile, whose attributes say which tile it is; with `holes`, of every other."""
    z, x, y = tile.z, tile.x, tile.y
    if holes and (x + y) % 2:
        return None
    west, south, east, north = tile.bounds_3857
    colour = {"red": z * 10, "green": (x * 53 + 17) % 256, "blue": (y * 29 + 101) % 256}
    quarter = box(west, (south + north) / 2, (west + east) / 2, north)
    return gpd.GeoDataFrame([{"z": z, "x": x, "y": y, "name": f"{z}/{x}/{y}"} | colour], geometry=[quarter], crs=3857)
