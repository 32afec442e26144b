import geopandas as gpd
import pandas as pd
from shapely.geometry import box

from tileserver import udf


@udf(bounds=(0, 0, 40, 40), cache_max_age="1h")
def features(tile=None, bounds=None, table: bool = False) -> gpd.GeoDataFrame:
    """A square for each tile in the north-east; nothing elsewhere."""
    frame = gpd.GeoDataFrame({"name": ["a"]}, geometry=[box(*bounds)] if bounds else [box(0, 0, 1, 1)], crs=4326)
    if bounds and bounds[0] > 20:
        return frame.iloc[:0]
    return pd.DataFrame(frame.drop(columns="geometry")) if table else frame
