import fused
import pandas as pd


@fused.udf(cache_max_age="0s")
def keeps(key: str = "river"):
    """A secret of the function's account."""
    return pd.DataFrame({"secret": [fused.secrets[key]]})
