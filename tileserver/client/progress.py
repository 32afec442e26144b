"""A bar for long work, where somebody sees it: on a terminal or in a notebook. Elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_EVERY: Final = 30.0
"""Seconds between lines."""


@contextmanager
def counting(label: str, total: int, *, every: float = _EVERY) -> Iterator[Callable[[], None]]:
    """A function to call after each of `total` parts.

    Args:
        every: seconds between lines where there is no bar.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield _lines(label, total, every)
        return
    speed = TextColumn("{task.fields[speed]}/s")
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), speed, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total, speed="-")

        def done() -> None:
            bar.advance(task)
            bar.update(task, speed=f"{bar.tasks[0].speed or 0:.1f}")

        yield done


def _lines(label: str, total: int, every: float) -> Callable[[], None]:
    count, began = 0, time.monotonic()
    due = began + every

    def done() -> None:
        nonlocal count, due
        count, now = count + 1, time.monotonic()
        if now >= due:
            due = now + every
            print(f"{label}: {count:,} of {total:,}, {count / (now - began):.1f}/s", file=sys.stderr, flush=True)

    return done


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """How long it takes, where somebody sees it."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task(label, total=None)
        yield
