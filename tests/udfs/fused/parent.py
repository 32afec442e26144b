@fused.udf
def udf(bounds: fused.types.Tile, x: int, y: int, z: int):
    import numpy as np

    child = fused.run("relief", x=x, y=y, z=z, chip_len=32, colored=False, nonsense=1, engine="remote")
    again = fused.run("owner@localhost/palette", parameters={"palette": "7"}, sync=True)
    placed, where = fused.run("placed", x=x, y=y, z=z)
    assert placed.max() == 200 and where == [*bounds.total_bounds[:2], bounds.centroid.x[0], bounds.total_bounds[3]]
    assert child.shape == (32, 32) and again.shape == (3, 256, 256)
    return np.stack([child + 1, again[0, :32, :32], child])
