import fused
import pandas as pd


@fused.udf
def where(bounds: fused.types.TileGDF = None, n: int = 0):
    """The tile that the function is called for, as a table."""
    if bounds is None:
        return pd.DataFrame({"z": [-1], "x": [-1], "y": [-1], "n": [n]})
    west = bounds.total_bounds[0]
    tile = bounds.iloc[0]
    return pd.DataFrame({"z": [int(tile.z)], "x": [int(tile.x)], "y": [int(tile.y)], "n": [n], "west": [west]})
