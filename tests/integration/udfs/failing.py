import numpy as np

from tileserver import udf


@udf(kind="raster")
def failing(tile, how: str = "raise"):
    """Fails in the way that is asked for."""
    print("about to fail")
    if how == "raise":
        raise ValueError("the secret is 42")
    if how == "type":
        return object()
    return np.zeros((2, 3, 4, 5))
