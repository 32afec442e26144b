import geopandas as gpd
from shapely.geometry import Point, box

from tileserver import udf


@udf(maxzoom=30, layer="corners")
def corners(tile, wide: bool = False):
    """The tile's own square and its middle, with attributes of every type."""
    west, south, east, north = tile.bounds_3857
    middle = Point((west + east) / 2, (south + north) / 2)
    return gpd.GeoDataFrame(
        {
            "name": ["square", "middle"],
            "zoom": [tile.z, tile.z],
            "ratio": [0.5, None],
            "is_wide": [wide, wide],
        },
        geometry=[box(west, south, east, north), middle],
        crs=3857,
    )
