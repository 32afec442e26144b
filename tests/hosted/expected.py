"""What the UDFs of these tests return, as `values.described` says it."""

from typing import Any

import mercantile
import pandas as pd
from values import described


def hello(n: int = 1, name: str = "x") -> Any:
    """Of `hello`."""
    return described(pd.DataFrame({"a": [n, 2], "b": [name, "y"]}))


def tile(z: int, x: int, y: int, n: int = 0) -> Any:
    """Of `where`, called for a tile."""
    west = mercantile.bounds(x, y, z).west
    return described(pd.DataFrame({"z": [z], "x": [x], "y": [y], "n": [n], "west": [west]}))


def nowhere(n: int = 0) -> Any:
    """Of `where`, called for no tile."""
    return described(pd.DataFrame({"z": [-1], "x": [-1], "y": [-1], "n": [n]}))
