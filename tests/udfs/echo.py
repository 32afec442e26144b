from tileserver import udf


@udf
async def echo(z: int = 0, x: int = 0, y: int = 0):
    """The address, from a coroutine."""
    return {"z": z, "x": x, "y": y}
