import fused
import pandas as pd


@fused.udf
def hello(n: int = 1, name: str = "x"):
    """A small table."""
    return pd.DataFrame({"a": [n, 2], "b": [name, "y"]})
