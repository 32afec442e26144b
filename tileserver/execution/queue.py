"""The queue in front of the workers: bounded, fair between groups, newest first within one, handed over explicitly."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tileserver.errors import BusyError


class Queue:
    """Slots, and who waits for them.

    A slot that becomes free goes to a waiter directly: were it put back first, the task that returns it could take it
    again before the waiter wakes, and a waiter could starve.
    """

    def __init__(self, capacity: int, *, limit: int, hold: float) -> None:
        self.capacity, self._limit, self._hold = capacity, limit, hold
        self.running = self.queued = 0
        self._groups: OrderedDict[str, list[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, group: str) -> AsyncIterator[None]:
        """A slot for the time of the block.

        Raises:
            BusyError: the queue is full, or no slot became free in time.
        """
        await self._enter(group)
        try:
            yield
        finally:
            self._hand_on()

    async def _enter(self, group: str) -> None:
        if self.running < self.capacity:
            self.running += 1
            return
        if self.queued >= self._limit:
            raise BusyError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._groups.setdefault(group, []).append(turn)
        self.queued += 1
        try:
            async with asyncio.timeout(self._hold):
                await turn
        except TimeoutError:
            self._leave(group, turn)
            raise BusyError from None
        except asyncio.CancelledError:
            self._leave(group, turn)
            raise

    def _leave(self, group: str, turn: "asyncio.Future[None]") -> None:
        waiting = self._groups.get(group, [])
        if turn in waiting:
            waiting.remove(turn)
            self.queued -= 1
            if not waiting:
                del self._groups[group]
        elif turn.done() and not turn.cancelled():  # the slot came in the moment of leaving
            self._hand_on()

    def _hand_on(self) -> None:
        """Give the slot to the newest waiter of the group whose turn it is; that group goes to the end."""
        while self._groups:
            group, waiting = self._groups.popitem(last=False)
            turn = waiting.pop()
            self.queued -= 1
            if waiting:
                self._groups[group] = waiting
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1
