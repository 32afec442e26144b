import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
from shapely.geometry import Point

from tileserver import udf


@udf
def gives(what: str = "data", tile=None):
    """Something of each sort that a function may hand to another one."""
    return [tile.z, tile.x, tile.y, tile.size] if tile else GIVEN[what]()


def frame():
    return pd.DataFrame({"n": [1, 2**60], "when": pd.to_datetime(["2024-01-01", "2024-01-02"])}, index=[5, 7])


def features():
    points = gpd.GeoDataFrame({"a": ["x"], "place": [Point(1, 2)]}, geometry="place", crs=3857, index=[9])
    return points.assign(other=gpd.GeoSeries([Point(3, 4)], crs=4326, index=[9]))


GIVEN = {
    "data": lambda: {"a": [1, 2.5, "text", None, True], "b": (1, 2)},
    "array": lambda: np.arange(12, dtype=np.int16).reshape(3, 4),
    "masked": lambda: np.ma.MaskedArray([1.5, 2.5], [False, True]),
    "frame": frame,
    "features": features,
    "table": lambda: pa.table({"a": [1, None]}),
    "bytes": lambda: b"\x00\xff" * 6_000_000,
    "none": lambda: None,
    "number": lambda: np.float32(0.5),
    "odd": lambda: {"when": object()},
}
