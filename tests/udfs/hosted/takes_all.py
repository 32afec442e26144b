import fused
import pandas as pd


@fused.udf
def takes_all(**others):
    """Whatever there is."""
    told = [(name, type(value).__name__, repr(value)) for name, value in others.items()]
    return pd.DataFrame(told, columns=["name", "type", "text"])
