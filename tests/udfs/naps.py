import os
import time

from tileserver import udf


@udf
def naps(seconds: float = 0.05):
    """Waits, as for an answer from elsewhere."""
    time.sleep(seconds)
    return {"pid": os.getpid()}
