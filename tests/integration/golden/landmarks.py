import geopandas
from shapely.geometry import LineString, Point, Polygon

from tileserver import udf


@udf(maxzoom=30, layer="landmarks")
def landmarks(bounds, crs: int = 4326) -> geopandas.GeoDataFrame:
    """A point, a line and a triangle at places inside the tile; their corners are attributes, in degrees."""
    west, south, east, north = bounds

    def at(across, up):
        return west + across * (east - west), south + up * (north - south)

    corners = [[at(0.25, 0.625)], [at(0.125, 0.75), at(0.875, 0.5)], [at(0.5, 0.0625), at(0.75, 0.125), at(0.5, 0.25)]]
    shapes = [Point(*corners[0]), LineString(corners[1]), Polygon(corners[2])]
    return geopandas.GeoDataFrame({"corners": corners}, geometry=shapes, crs=4326).to_crs(crs)
