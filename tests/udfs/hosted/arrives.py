import datetime

import fused
import geopandas as gpd
import pandas as pd
import shapely


@fused.udf
def arrives(
    raw=None,
    i: int = 0,
    f: float = 0.0,
    s: str = "",
    b: bool = False,
    lst: list = None,
    ints: list[int] = None,
    tup: tuple = None,
    d: dict = None,
    df: pd.DataFrame = None,
    gdf: gpd.GeoDataFrame = None,
    when: datetime.datetime = None,
    geom: shapely.Geometry = None,
    box: fused.types.Bbox = None,
):
    """Type and content of each parameter, as the function got it."""
    got = {"raw": raw, "i": i, "f": f, "s": s, "b": b, "lst": lst, "ints": ints, "tup": tup, "d": d}
    got |= {"when": when and when.isoformat(), "geom": geom and geom.wkt, "box": box and box.bounds}
    got["df"] = None if df is None else df.to_dict("list")
    got["gdf"] = None if gdf is None else [*gdf.geometry.to_wkt(), *gdf.a]
    told = [(name, type(value).__name__, repr(value)) for name, value in got.items()]
    return pd.DataFrame(told, columns=["name", "type", "text"])
