import os
from pathlib import Path

import numpy as np

from tileserver import udf


@udf(cache_max_age=0)
def reaches(files: list[str], tile=None):
    """Which of some files it can read, whether it can write beside its scratch folder, and whom it sees."""
    if tile:
        return np.full((1, tile.size, tile.size), 7, np.uint8)
    Path("own").write_text("scratch")
    return {
        "read": [file for file in files if _can(lambda file=file: Path(file).read_bytes())],
        "wrote": _can(lambda: Path("/tmp/beside").write_text("no")),
        "processes": sum(each.name.isdigit() for each in Path("/proc").iterdir()),
        "signalled": _can(lambda: os.kill(1, 0)),
    }


def _can(act):
    try:
        act()
    except OSError:
        return False
    return True
