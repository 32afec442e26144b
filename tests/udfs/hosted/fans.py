import fused
import pandas as pd


@fused.udf
def fans(count: int = 4):
    """Calls another function many times at once."""
    told = fused.submit("hello", [{"n": n} for n in range(count)], collect=False).results()
    return pd.concat(told, ignore_index=True)
