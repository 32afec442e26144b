import time
from pathlib import Path

import numpy as np

from tileserver import udf


@udf(kind="raster", maxzoom=30)
def works(tile, busy: float = 0.0, rest: float = 0.0, log: str = "", hold: str = ""):
    """Keeps a processor busy and then rests, for so many seconds; notes each run in a file, waits for another."""
    if log:
        with Path(log).open("a") as file:
            file.write(f"{tile.z}/{tile.x}/{tile.y}\n")
    until = time.thread_time() + busy
    while time.thread_time() < until or (hold and not Path(hold).exists()):
        pass  # a function that rests would let another have its slot
    time.sleep(rest)
    return np.full((tile.size, tile.size), tile.x % 255, dtype=np.uint8)
