from utils import stripes


@fused.udf
def udf(area, context, width="2"):
    import geopandas as gpd

    common = fused.utils.common
    assert isinstance(width, str)
    assert common.utils.half(8) == 4 and common(n="6")[0] == 3 and common.SCALE == 10
    assert stripes(2, 2).shape == (2, 2)
    return gpd.GeoDataFrame({"zoom": area.z, "width": [int(width)]}, geometry=area.centroid.buffer(1), crs=4326)
