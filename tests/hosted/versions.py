"""Which versions of the SDK a test runs with: all of them, or those whose calls it makes."""

import sys
from typing import Any

import pytest

_TOO_NEW = pytest.mark.skipif(sys.version_info >= (3, 12), reason="it wants a Python before 3.12")

ALL = [
    pytest.param("1.14.2"),
    pytest.param("2.9.5", marks=pytest.mark.slow),
    pytest.param("1.8.0", marks=[pytest.mark.slow, _TOO_NEW]),
]
"""The last of the 1.x line's middle, the newest, and the last with `fused._auth.CREDENTIALS`."""


def only(*versions: str) -> Any:
    """Marks a test of what these versions have, and the others have not or do otherwise."""
    chosen = [each for each in ALL if each.values[0] in versions]
    assert len(chosen) == len(versions), f"{versions} are not all known"
    return pytest.mark.parametrize("version", chosen, indirect=True, scope="session")
