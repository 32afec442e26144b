import fused
import pandas as pd


@fused.udf
def talks(n: int = 1):
    """Prints, and returns a table."""
    print("measured", n)
    return pd.DataFrame({"n": [n]})
