"""How the cache stands, as tables."""

from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from tileserver.cli.runs import size

_WORDS: Final = {
    "memory": "from memory",
    "repeated": "from memory, again within a second",
    "disk": "from disk",
    "redis": "from Redis",
    "memcached": "from Memcached",
    "objects": "from an object store",
    "stale": "past their age",
    "above": "empty, as a tile above says",
    "block": "cut from a block: a run saved",
    "shared": "another's run: a flight joined",
    "run": "run",
    "outside": "outside of zooms and bounds",
}
"""Of each source of answers."""


def show(found: dict[str, Any]) -> None:
    """What was answered from where, then what is held."""
    console = Console(highlight=False)
    console.print(_answers(found["answers"]))
    console.print()
    console.print(_held(found))
    if found["stores"]:
        kinds = ", ".join(each["kind"] for each in found["stores"])
        console.print(f"\nbehind them: {kinds}; {found['store_failures']:,} operations failed or took too long")


def _answers(answers: dict[str, int]) -> Table:
    total = sum(answers.values())
    table = Table("answers", _right(""), _right(""), box=None)
    for source, words in _WORDS.items():
        if count := answers[source]:
            table.add_row(words, f"{count:,}", f"{100 * count / total:.1f} %")
    table.add_row("total", f"{total:,}", "", style="bold")
    return table


def _held(found: dict[str, Any]) -> Table:
    table = Table("held in", *map(_right, ("entries", "bytes", "of", "evicted")), box=None)
    for place, label in (("memory", f"memory of {found['processes']}"), ("disk", "disk")):
        held = found[place]
        limit = held["limit"] * (found["processes"] if place == "memory" else 1)
        cells = f"{held['entries']:,}", size(held["bytes"]), size(limit), f"{held['evictions']:,}"
        table.add_row(f"{label} process" + "es" * (found["processes"] > 1) if place == "memory" else label, *cells)
    return table


def _right(name: str) -> Column:
    return Column(name, justify="right", no_wrap=True)
