"""Answers made anew while what there is of them is served: in the background, one for a key, and few at once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any


class Refreshes:
    """Of one process. What does not begin, since enough is under way, begins with another request."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]], most: int) -> None:
        """Begin, unless it is under way or as many are as there may be."""
        if key in self._tasks or len(self._tasks) >= most:
            return
        task = self._tasks[key] = asyncio.create_task(work())
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # seen: who asks next meets it

    async def close(self) -> None:
        """End all of them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
