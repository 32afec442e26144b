"""Deadlines of what is waited for: one timer for all, since a timer for each costs as much as a small job."""

import asyncio
import time
from typing import Any


class Deadlines:
    """Ends futures with TimeoutError, at most a tick after their time."""

    def __init__(self, tick: float) -> None:
        """Args: tick: seconds."""
        self._tick = tick
        self._waiting: list[tuple[float, asyncio.Future[Any]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: "asyncio.Future[Any]", seconds: float) -> None:
        """It has so long; once it is done, it is forgotten with the next tick."""
        self._waiting.append((time.monotonic() + seconds, future))
        if self._timer is None:
            self._timer = future.get_loop().call_later(min(self._tick, seconds), self._look)

    @property
    def busy(self) -> bool:
        """Whether its timer runs."""
        return self._timer is not None

    def _look(self) -> None:
        now = time.monotonic()
        for until, future in self._waiting:
            if until <= now and not future.done():
                future.set_exception(TimeoutError())
        self._waiting = [each for each in self._waiting if not each[1].done()]
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick, self._look) if self._waiting else None
