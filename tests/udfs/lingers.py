import atexit
import threading
import time

from tileserver import udf


@udf(kind="document")
def lingers(run: int = 0):
    """Does not want to end: what is to run at its end never returns, nor does a thread."""
    atexit.register(time.sleep, 600)
    threading.Thread(target=time.sleep, args=(600,)).start()
    return {"run": run}
