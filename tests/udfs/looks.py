import os
import sys
import threading

from tileserver import udf


@udf
def looks():
    """What a function can see of the server."""
    return {"environment": dict(os.environ), "modules": sorted(sys.modules), "threads": threading.active_count()}
