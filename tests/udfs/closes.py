import os

from tileserver import udf


@udf
def closes(run: int = 0):
    """Closes every descriptor that it can name."""
    os.closerange(0, 65536)
    return {}
