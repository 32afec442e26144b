import ctypes
import os
import time

from tileserver import udf


@udf
def escapes(run: int = 0, mark: str = "stray", seconds: float = 600, disowns: bool = False):
    """Leaves a daemon behind, in a session of its own; `disowns`: it adopts no orphans either."""
    if disowns:
        ctypes.CDLL(None).prctl(36, 0)  # PR_SET_CHILD_SUBREAPER
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, mark.encode())  # PR_SET_NAME
            time.sleep(seconds)
        os._exit(0)
    if disowns:
        os.waitpid(child, 0)  # so that it has no child any more
    return {"worker": os.getpid()}
