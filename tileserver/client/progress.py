"""A bar for long work, where somebody sees it: on a terminal or in a notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A function to call after each of `total` parts."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield lambda: None
        return
    speed = TextColumn("{task.fields[speed]}/s")
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), speed, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total, speed="-")

        def done() -> None:
            bar.advance(task)
            bar.update(task, speed=f"{bar.tasks[0].speed or 0:.1f}")

        yield done


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
