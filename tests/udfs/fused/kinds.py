"""Returns what its caller wants to see."""


@fused.udf
def udf(kind: str):
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    from shapely.geometry import Point

    masked = np.ma.masked_equal(np.arange(4.0).reshape(2, 2), 3)
    return {
        "series": pd.Series([2**62 + 1], index=["a"]),
        "geoseries": gpd.GeoSeries([Point(1, 2)], crs=3857),
        "placed": (masked, [0, 0, 1, 1]),
        "nothing": None,
    }[kind]
