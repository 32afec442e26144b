import os
from pathlib import Path

from tileserver import udf


@udf
def exits(run: int = 0, notes: str = ""):
    """Leaves with a status of its own, noted in a file."""
    print("leaving", flush=True)
    if notes:
        with Path(notes).open("a") as file:
            file.write("left\n")
    os._exit(3)
