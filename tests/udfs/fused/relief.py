@fused.udf
def udf(bbox: fused.types.TileGDF = None, chip_len: int = 128, colored: bool = True):
    import numpy as np

    west, south, east, north = bbox.total_bounds
    grey = np.full((chip_len, chip_len), int(bbox.z[0]) * 10 + int(bbox.x.iloc[0]), "uint8")
    assert bbox.geometry[0].bounds == (west, south, east, north)
    return np.stack([grey, grey // 2, grey * 0]) if colored else grey
