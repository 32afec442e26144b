import ctypes

from tileserver import udf


@udf
def segfaults():
    """Reads where nothing is."""
    return ctypes.string_at(0)
