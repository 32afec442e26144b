import fused
import pandas as pd


@fused.udf
def shouts():
    """Prints more than a header can hold, and more than ASCII."""
    print("é" * 20_000)
    print("the end")
    return pd.DataFrame({"n": [1]})
