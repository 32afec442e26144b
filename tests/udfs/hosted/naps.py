import time

import fused
import pandas as pd


@fused.udf(cache_max_age="0s")
def naps(seconds: float = 0.0):
    """Longer than the newest SDK waits for one request."""
    time.sleep(seconds)
    return pd.DataFrame({"seconds": [seconds]})
