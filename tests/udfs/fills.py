import os
import tempfile
from pathlib import Path

from tileserver import udf

PIECE = b"x" * 2**24


@udf(kind="document")
def fills(run: int = 0, size: int = 3 * 10**9, files: int = 4):
    """Fills its scratch folder. Bounded, and it cleans up where nobody stopped it."""
    paths, written = [], 0
    for _ in range(files):
        descriptor, path = tempfile.mkstemp()
        paths.append(path)
        with os.fdopen(descriptor, "wb") as file:
            while written < size * len(paths) // files:
                written += file.write(PIECE)
    for path in paths:
        Path(path).unlink()
    return {"written": written}
