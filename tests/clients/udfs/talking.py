import numpy as np

from tileserver import udf


@udf(kind="raster")
def talking(tile, greeting: str = "hello"):
    """Says which tile it draws."""
    print(f"this is {tile.z}/{tile.x}/{tile.y}")
    print("and no more")
    return np.full((tile.size, tile.size), 99, np.uint8)
