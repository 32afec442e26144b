"""Called for one tile in place of many, as a picture whose values tell where they are; it notes each call in a file."""

from pathlib import Path

import numpy as np

from tileserver import udf


@udf(block_zoom=6, block_size=1024, maxzoom=24, rescale=(0, 65535))
def pictured(tile, log: str) -> np.ndarray:
    """Columns of the tile that it is called for in one band, rows in the other, in 65,536ths of its side."""
    with Path(log).open("a") as file:
        file.write(f"{tile.z}/{tile.x}/{tile.y}:{tile.size}\n")
    at = ((np.arange(tile.size) + 0.5) / tile.size * 65536).astype(np.uint16)
    return np.stack([*np.meshgrid(at, at), np.zeros((tile.size, tile.size), np.uint16)])
