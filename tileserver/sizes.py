"""Sizes of memory and disk as people write them."""

import re
from typing import Final

_UNITS: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGT]?B?)\s*", re.ASCII)


def size(text: float | str) -> int:
    """Bytes of `1000`, `"512MB"`, `"2 GB"` or `"1.5G"`; units of a thousand.

    Raises:
        ValueError: anything else.
    """
    match = _SIZE.fullmatch(text.upper()) if isinstance(text, str) else None
    if match:
        unit = match[2] if match[2].endswith("B") or not match[2] else match[2] + "B"
        return int(float(match[1]) * _UNITS[unit])
    if isinstance(text, str):
        raise ValueError("a size is a number of bytes, or one with kB, MB, GB or TB behind it")
    return int(text)
