import contextlib
import os

from tileserver import udf


@udf
def garbles(run: int = 0):
    """Writes nonsense wherever it can."""
    for descriptor in range(3, 300):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\xff" * 64)
    return {}
