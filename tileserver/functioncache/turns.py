"""Turns: one computes what a key stands for, the others wait, be they processes, threads or coroutines."""

import abc
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Final

_PAUSE: Final = 0.02
"""Seconds between looks at what another one computes."""


class Turns(abc.ABC):
    """What results are kept in."""

    @abc.abstractmethod
    def turn(self, key: str) -> AbstractContextManager[Callable[[], bool]]:
        """What takes the turn if it is free, and says whether one has it; it ends with the block."""

    @contextmanager
    def locked(self, key: str, seconds: float) -> Iterator[None]:
        """The block runs once at a time for a key; after so many seconds of waiting all the same."""
        with self.turn(key) as taken:
            until = time.monotonic() + seconds
            while not taken() and time.monotonic() < until:
                time.sleep(_PAUSE)
            yield

    @asynccontextmanager
    async def awaited(self, key: str, seconds: float) -> AsyncIterator[None]:
        """The same for a coroutine, beside which others go on."""
        with self.turn(key) as taken:
            until = time.monotonic() + seconds
            while not taken() and time.monotonic() < until:  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(_PAUSE)
            yield
