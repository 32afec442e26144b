import geopandas
from shapely.geometry import box

from tileserver import udf


@udf
def outline(tile):
    """Nothing in the text says that this is a vector."""
    return geopandas.GeoDataFrame({"zoom": [tile.z]}, geometry=[box(*tile.bounds)], crs=4326)
