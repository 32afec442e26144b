import ctypes
import os
import signal
import time

from tileserver import udf


@udf(kind="document", timeout=1)
def scatters(run: int = 0, count: int = 5, mark: str = "stray", seconds: float = 60):
    """Hangs with children of every sort: its own, in other sessions, daemons; all ignore whom they can.

    Args:
        count: of each sort.
        seconds: after which they end by themselves.
    """
    for number in range(3 * count):
        if os.fork() == 0:
            for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(each, signal.SIG_IGN)
            ctypes.CDLL(None).prctl(15, mark.encode())  # PR_SET_NAME
            if number >= count:
                os.setsid()
            if number >= 2 * count and os.fork() > 0:
                os._exit(0)
            time.sleep(seconds)
            os._exit(0)
    print("all started", flush=True)
    time.sleep(seconds)
