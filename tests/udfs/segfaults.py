import ctypes

from tileserver import udf


@udf
def segfaults(run: int = 0):
    """Reads where nothing is."""
    return ctypes.string_at(0)
