import os
import time
from pathlib import Path

from tileserver import udf


@udf
def waits(started: str, go: str = "never"):
    """Says in a file which process runs it, and returns when there is another file."""
    with Path(started).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not Path(go).exists():
        time.sleep(0.01)
    return {"waited": True}
