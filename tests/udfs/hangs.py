import ctypes
import hashlib
import os
import re
import signal
from pathlib import Path
from typing import Literal

from tileserver import udf


@udf(timeout=1)
def hangs(run: int = 0, how: Literal["loop", "c", "held", "sleep", "fifo"] = "loop"):
    """Never returns and ignores whom it can.

    Args:
        how: in a Python loop, in C without and with the interpreter's lock, asleep in C, or opening a FIFO.
    """
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    print("going in circles", flush=True)
    match how:
        case "c":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        case "held":
            re.match(r"(a+)+b", "a" * 60)
        case "sleep":
            ctypes.CDLL(None).sleep(600)
        case "fifo":
            os.mkfifo("fifo")
            Path("fifo").read_text()
    while True:
        pass
