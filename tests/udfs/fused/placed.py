@fused.udf
def udf(bounds: fused.types.Bounds = None, share: float = 0.5):
    import numpy as np

    west, south, east, north = bounds
    return np.full((64, 64), 200, "uint8"), (west, south, west + (east - west) * share, north)
