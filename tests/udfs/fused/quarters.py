@fused.udf
async def udf(bounds: fused.types.TileXYZ, n: int = 2):
    import mercantile
    import numpy as np

    @fused.udf
    def shade(x: int, y: int, z: int = 0):
        return x * 100 + y * 10

    tiles = [{"x": tile.x, "y": tile.y, "z": tile.z} for tile in mercantile.children(bounds)]
    whole = fused.submit("relief", tiles, chip_len=n, colored="False", collect=False)
    nw, ne, se, sw = whole
    local = fused.submit(shade, [{"parameters": {"x": 1, "y": "2"}}, {"parameters": {"x": 2, "y": 1}}], collect=False)
    assert local.results() == [120, 210]
    twin = await fused.run_async("relief", tile=(bounds.z, bounds.x, bounds.y), chip_len=n)
    assert twin.shape == (3, n, n)
    return np.vstack([np.hstack([nw, ne]), np.hstack([sw, se])])
