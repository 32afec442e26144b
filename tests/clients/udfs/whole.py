import geopandas as gpd
from shapely.geometry import LineString, box

from tileserver import udf

WORLD = 20_000_000
HEIGHT = 6_700_001  # metres north of the equator, on no tile's edge


@udf(maxzoom=24, layer="golden")
def whole(tile, line: bool = False):
    """One area or one line over every tile there is."""
    shape = LineString([(-WORLD, HEIGHT), (WORLD, HEIGHT)]) if line else box(-WORLD, -WORLD, WORLD, WORLD)
    return gpd.GeoDataFrame({"name": ["whole"]}, geometry=[shape], crs=3857)
