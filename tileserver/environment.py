"""What functions run in: the Python and the libraries that are installed."""

import hashlib
import os
import sys
from functools import lru_cache


@lru_cache(1)
def environment() -> str:
    """16 hexadecimal digits that differ with the version of Python or of a library, as these were when first asked for.

    Names of `.dist-info` folders have both (PEP 376, PEP 427): to list them takes a hundredth of reading each.
    """
    installed = sorted(name for folder in sys.path for name in _names(folder) if name.endswith(".dist-info"))
    return hashlib.sha256("\n".join((sys.version, *installed)).encode()).hexdigest()[:16]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")  # noqa: PTH208 - names only
    except OSError:
        return []
