"""Counts of calls as a table."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from tileserver.cli.runs import size

_COUNTS: Final = ("calls", "failures", "cached", "ms", "bytes")
_LEAST_WIDTH: Final = 64
"""Columns: a narrower terminal breaks lines, which is better than a name that is cut off."""
_HEADS: Final = ("calls", "failed", "cached", "seconds", "sent")


def show(counts: dict[str, Any], label: str, named: Callable[[dict[str, Any]], str]) -> None:
    """A line for each of what `named` calls the days of, and their sum below them."""
    table = Table(Column(label, overflow="fold"), *map(_column, _HEADS), box=None)
    for name, sums in _sums(counts["days"], named).items():
        table.add_row(name, *_cells(sums))
    table.add_row("total", *_cells(counts), style="bold")
    Console(width=max(Console().width, _LEAST_WIDTH), highlight=False).print(table)


def _column(name: str) -> Column:
    return Column(name, justify="right", no_wrap=True)


def _sums(days: Iterable[dict[str, Any]], named: Callable[[dict[str, Any]], str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for day in days:
        sums = found.setdefault(named(day), dict.fromkeys(_COUNTS, 0))
        for count in _COUNTS:
            sums[count] += day[count]
    return found


def _cells(counts: dict[str, Any]) -> Iterable[str]:
    numbers = (f"{counts[name]:,}" for name in _COUNTS[:3])
    return (*numbers, f"{counts['ms'] / 1000:,.1f}", size(counts["bytes"]))
