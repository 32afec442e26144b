import pandas as pd

from tileserver import udf


@udf
def numbers(count: int = 3, start: float = 0.5) -> pd.DataFrame:
    """A table."""
    return pd.DataFrame({"n": range(count), "value": [start + step for step in range(count)]})
