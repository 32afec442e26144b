import time
from pathlib import Path

import numpy as np

from tileserver import udf


@udf(maxzoom=30)
def counted(tile, log: str, seconds: float = 0.0, busy: float = 0.0, fail: bool = False) -> np.ndarray:
    """Notes each run in a file, takes its time, and fails where it shall."""
    with Path(log).open("a") as file:
        file.write(f"{tile.z}/{tile.x}/{tile.y}\n")
    time.sleep(seconds)
    until = time.thread_time() + busy
    while time.thread_time() < until:
        pass
    if fail:
        raise ValueError("as was asked")
    return np.full((1, tile.size, tile.size), 7, dtype=np.uint8)
