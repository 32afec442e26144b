"""Called for a block, in a sandbox, where no file of the server's is to be seen."""

import numpy as np

from tileserver import udf


@udf(block_zoom=3, maxzoom=20)
def divided(z: int, x: int, y: int) -> np.ndarray:
    """Rows and columns of the tile that it is called for."""
    rows, columns = np.mgrid[:256, :256]
    return np.stack([rows, columns, np.full((256, 256), z)]).astype(np.uint8)
