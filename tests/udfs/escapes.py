import ctypes
import os
import time

from tileserver import udf


@udf
def escapes(run: int = 0, mark: str = "stray", seconds: float = 600):
    """Leaves a daemon behind, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, mark.encode())  # PR_SET_NAME
            time.sleep(seconds)
        os._exit(0)
    return {"worker": os.getpid()}
