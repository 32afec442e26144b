import fused
import pandas as pd


@fused.udf(cache_max_age="0s")
def chains(depth: int = 0, n: int = 0):
    """Calls itself so many times, and says how deep each was."""
    below = fused.run("chains", depth=depth - 1, n=n) if depth else pd.DataFrame({"depth": []}, dtype="int64")
    return pd.concat([pd.DataFrame({"depth": [depth]}), below], ignore_index=True)
