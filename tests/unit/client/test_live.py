"""Live functions as sources: what they use from around them comes along, or is named."""

import math
from functools import wraps
from typing import Any

import numpy as np
import pytest
from shapely.geometry import box

from tileserver import Tile, udf
from tileserver.client.live import source_of
from tileserver.errors import PublicationError
from tileserver.signature import parse

RADIUS = 3
STEPS = [1, 2]


@udf(maxzoom=7)
def painted(tile: Tile, radius: int = RADIUS):
    """A picture."""

    def inner(value: int) -> Any:
        return np.full((2, 2), value * RADIUS + len(str(math.pi)), np.uint8)

    return inner(radius)


def plain(n: int = 2):
    return [box(0, 0, each, each).area for each in range(n)]


def unknown():
    return STEPS


def misspelt():
    return lenn([])  # type: ignore[name-defined]  # noqa: F821


async def waits(text: str = "a"):
    return {"text": text}


def again(n: int = 3) -> int:
    return n if n == 0 else again(n - 1)


def wrapped(function: Any) -> Any:
    @wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


def ran(source: str, *args: Any) -> Any:
    """What the entry of a source returns in a fresh namespace."""
    scope: dict[str, Any] = {}
    exec(source, scope)
    return scope[parse(source, file="live.py").entry](*args)


def test_it_runs_by_itself() -> None:
    """Modules, numbers and what modules define are there; the options stay."""
    source = source_of(painted)
    assert np.array_equal(ran(source, None, 4), painted(None, 4))
    assert parse(source, file="live.py").options.maxzoom == 7
    assert ran(source_of(plain), 3) == plain(3)
    assert ran(source_of(again)) == 0
    assert "from functools import wraps as wraps" in source_of(wrapped)


@pytest.mark.parametrize("function", [plain, waits, wrapped(plain)])
def test_it_is_marked_where_it_is_not(function: Any) -> None:
    """Any function becomes a UDF, also behind a decorator that says whose it is."""
    assert parse(source_of(function), file="live.py").entry == function.__name__


def test_functions_of_functions() -> None:
    """Their indentation goes, what surrounds them comes along."""
    factor = 5

    def local(n: int = 1) -> int:
        return n * factor

    assert ran(source_of(local), 2) == 10


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (unknown, "uses 'STEPS'"),
        (misspelt, "uses 'lenn'"),
        (lambda: 1, "no function that 'def' made"),
        (len, "no function that 'def' made"),
        (Tile, "no function that 'def' made"),
        (eval("exec('def typed(): pass') or typed"), "text is not known"),
    ],
)
def test_what_cannot_go_along_is_named(function: Any, reason: str) -> None:
    """In a sentence that says what to do."""
    with pytest.raises(PublicationError, match=reason):
        source_of(function)
