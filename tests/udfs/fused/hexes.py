import pandas as pd
from fused import types, udf


@udf(name="hexes")
def cells(bbox: types.Bbox = None, res: int = 3, names: list[str] = ["a"]):
    west, south, east, north = bbox.bounds if bbox is not None else (0, 0, 0, 0)
    return pd.DataFrame({"cell": names, "west": west, "res": res})
