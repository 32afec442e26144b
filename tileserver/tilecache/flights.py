"""Single flight: however many ask for a key at once, the work is done once; it ends when the last of them has gone."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way in this process, by key."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._waiters: dict[Hashable, int] = {}

    async def join(self, key: Hashable, start: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of the flight for `key`, and whether this call started it.

        A waiter that is cancelled leaves the others alone; with the last one the work is cancelled too.
        """
        task = self._tasks.get(key)
        started = task is None
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(_run(start))
            task.add_done_callback(lambda done: self._forget(key, done))
        self._waiters[key] = self._waiters.get(key, 0) + 1
        try:
            return await asyncio.shield(task), started
        finally:
            self._leave(key, task)

    def _leave(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._tasks.get(key) is not task:
            return
        self._waiters[key] -= 1
        if not self._waiters[key]:
            task.cancel()
            self._drop(key)

    def _forget(self, key: Hashable, done: asyncio.Task[T]) -> None:
        if not done.cancelled():
            done.exception()  # seen: waiters that left early do not make it "never retrieved"
        if self._tasks.get(key) is done:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        self._tasks.pop(key, None)
        self._waiters.pop(key, None)


async def _run(start: Callable[[], Awaitable[T]]) -> T:
    return await start()
