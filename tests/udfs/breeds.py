import contextlib
import ctypes
import os
import time

from tileserver import udf


@udf(kind="document")
def breeds(run: int = 0, rounds: int = 3, seconds: float = 3.0, mark: str = "stray"):
    """A fork bomb: every process forks in every round. Bounded: 2 to the power of `rounds`; all end by themselves."""
    worker = os.getpid()
    try:
        for _ in range(rounds):
            if os.fork() == 0:
                with contextlib.suppress(Exception):
                    ctypes.CDLL(None).prctl(15, mark.encode())  # PR_SET_NAME
    except OSError:
        if os.getpid() == worker:
            raise
    time.sleep(seconds)
    if os.getpid() != worker:
        os._exit(0)
    return {"processes": 2**rounds}
