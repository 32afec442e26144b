import os
import time

from tileserver import udf


@udf
def escapes():
    """Leaves a daemon behind, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    return {"worker": os.getpid()}
