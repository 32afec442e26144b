from tileserver import udf


@udf(kind="raster", minzoom=2, maxzoom=5, bounds=(0, 0, 40, 40))
def nothing(tile):
    """Nowhere anything."""
