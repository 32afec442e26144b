"""Where jobs run: the protocol that the pipeline knows."""

from typing import Protocol

import msgspec

from tileserver.execution.calls import Answer
from tileserver.jobs import Described, Job, Rendered, Source


class ExecutorStats(msgspec.Struct, frozen=True, kw_only=True):
    """A look at an executor."""

    ready: bool
    """Whether functions can run."""
    capacity: float
    """Cores that jobs may keep busy."""
    running: int
    queued: int
    workers: int
    """Processes."""
    deaths: int
    """Workers that ended without being asked to, since the start."""
    processes: int = 1
    """Server processes that share it."""
    here: bool = True
    """Whether it is this process's own."""


class Executor(Protocol):
    """Runs jobs somewhere."""

    async def start(self) -> None:
        """Begin to get ready; does not wait for it."""

    answer: Answer
    """Who answers the calls of functions."""

    async def run(self, job: Job, source: Source, *, group: str, nested: bool = False) -> Rendered:
        """The answer to a job.

        Args:
            group: whose job it is; groups take turns.
            nested: whether a running function waits for it; no limit of the queue turns it away.

        Raises:
            UdfError: the function failed.
            InvalidError: an argument or the format cannot be.
            BusyError: too many jobs wait.
            TooManyRequestsError: too many of the group wait.
        """
        ...

    async def describe(self, source: Source, options: tuple[str, ...], defaults: tuple[str, ...]) -> Described:
        """What the source's text alone does not say; raises like `run`."""
        ...

    async def close(self) -> None:
        """End everything; nothing is left running."""

    def stats(self) -> ExecutorStats:
        """How it stands."""
        ...
