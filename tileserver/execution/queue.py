"""The queue in front of the workers: slots are weights; bounded, fair between groups, handed over explicitly.

A job weighs what its UDF takes of a core, so functions that wait for others' answers run many at once, and those that
compute run one per core. Between groups it is deficit round robin (Shreedhar and Varghese, 1995) over expected core
seconds. Within a group the newest goes first, since who pans a map looks at what was asked last; every fourth slot goes
to the oldest, so that nobody starves.
"""

import asyncio
import math
from collections import deque
from typing import Final

from tileserver.errors import BusyError, TooManyRequestsError
from tileserver.execution.deadlines import Deadlines
from tileserver.execution.shares import Share

_QUANTUM: Final = 0.001
"""Core seconds that a group gets per round: so little that one which comes late waits for hardly more than its turn."""
_OLDEST_EVERY: Final = 4
_TICK_SECONDS: Final = 0.05
_ROUNDING: Final = 1e-6


class Slot:
    """A place to run in, as heavy as the job."""

    __slots__ = ("_queue", "cost", "group", "paused", "share", "turn", "weight")

    def __init__(self, queue: "Queue", group: str, share: Share) -> None:
        self._queue, self.group, self.share = queue, group, share
        self.weight = share.weight
        self.cost = share.weight * share.seconds
        """Core seconds that the job is expected to take."""
        self.turn: asyncio.Future[None]
        """Done when the slot is handed over; made for who has to wait."""
        self.paused = False
        """Whether the job waits for a job of its own, and weighs nothing meanwhile; it remains a running process."""

    @property
    def demand(self) -> float:
        """What it would weigh by what is known now; runs of the same UDF may have told since it came."""
        return self.share.weight

    def leave(self) -> None:
        """Give it back; waiters get it at once."""
        self._queue.release(self)

    def weigh(self, weight: float) -> None:
        """The job turns out to take more or less."""
        if not self.paused:
            before, self.weight = self.weight, weight
            self._queue.adjust(weight - before)

    def pause(self) -> None:
        """Let others run meanwhile."""
        self.paused = True
        self._queue.adjust(-self.weight)

    async def resume(self) -> None:
        """Go on as soon as there is room, before all who have not begun."""
        await self._queue.readmit(self)


class Group:
    """Those of one token that wait."""

    def __init__(self) -> None:
        self.waiting: deque[Slot] = deque()
        self.deficit = self.backlog = 0.0
        self._turns = 0

    def peek(self) -> Slot:
        """Whose turn it is: the newest, every fourth time the oldest."""
        return self.waiting[0 if self._turns % _OLDEST_EVERY == _OLDEST_EVERY - 1 else -1]

    def rounds_needed(self) -> int:
        """Rounds until the group can afford its job."""
        lacking = self.peek().cost - self.deficit - _ROUNDING
        return math.ceil(lacking / _QUANTUM) if lacking > 0 else 0

    def take(self, slot: Slot) -> None:
        """Let the one go whom `peek` said."""
        self._turns += 1
        if slot is self.waiting[-1]:
            self.waiting.pop()
        else:
            self.waiting.popleft()
        self.deficit -= slot.cost


class Queue:
    """Slots, and who waits for them.

    A slot that becomes free goes to a waiter directly: were it put back first, the task that returns it could take it
    again before the waiter wakes, and a waiter could starve.
    """

    def __init__(self, capacity: float, *, limit: int, hold: float, processes: int, group_limit: int) -> None:
        """Args:
        capacity: cores.
        limit: jobs that may wait; beyond it only those of a group that has less than its share of them.
        hold: seconds that a job may wait.
        processes: jobs that may run at once whatever they weigh.
        group_limit: jobs of one group that may wait.
        """
        self.capacity, self.processes = capacity, processes
        self._limit, self._hold, self._group_limit = limit, hold, group_limit
        self.weight = 0.0
        self.running = self.queued = 0
        self._groups: dict[str, Group] = {}
        self._resuming: deque[Slot] = deque()
        self._deadlines = Deadlines(_TICK_SECONDS)
        self._closed = False

    async def enter(self, group: str, share: Share, *, hold: float | None = None) -> Slot:
        """A slot; leave it when the job is done.

        Args:
            share: what the job is expected to take.
            hold: seconds that it may wait; given for calls of running functions, which no limit turns away.

        Raises:
            TooManyRequestsError: too many of the group wait.
            BusyError: too many wait, the wait would be too long, or was.
        """
        if self._closed:
            raise _stopped()
        slot = Slot(self, group, share)
        if not self._groups and not self._resuming and self._fits(slot):
            self._admit(slot)
            return slot
        if hold is None:
            self._refuse_hopeless(group)
        elif self.running >= self.processes:  # all of them may wait for calls of their own
            raise BusyError("too many functions run at once")
        self._wait(slot)
        self._hand_on()
        self._deadlines.add(slot.turn, self._hold if hold is None else hold)
        try:
            await slot.turn
        except TimeoutError:
            self._abandon(slot)
            raise BusyError(retry_after=self.retry_after) from None
        except asyncio.CancelledError:
            self._abandon(slot)
            raise
        return slot

    @property
    def retry_after(self) -> int:
        """Seconds until the present backlog is done."""
        backlog = sum(group.backlog for group in self._groups.values())
        return min(max(math.ceil(backlog / self.capacity), 1), 30)

    def _refuse_hopeless(self, group: str) -> None:
        own = self._groups.get(group)
        waiting = len(own.waiting) if own else 0
        if waiting >= self._group_limit:
            raise TooManyRequestsError(retry_after=self.retry_after)
        turns = len(self._groups) + (own is None)
        full = self.queued >= self._limit and waiting >= self._limit / turns
        hopeless = own is not None and own.backlog * turns > self._hold * self.capacity
        if full or hopeless:
            raise BusyError(retry_after=self.retry_after)

    def _wait(self, slot: Slot) -> None:
        slot.turn = asyncio.get_running_loop().create_future()
        group = self._groups.get(slot.group)
        if group is None:
            group = self._groups[slot.group] = Group()
        group.waiting.append(slot)
        group.backlog += slot.cost
        self.queued += 1

    def _abandon(self, slot: Slot) -> None:
        group = self._groups.get(slot.group)
        if group and slot in group.waiting:
            group.waiting.remove(slot)
            self._waited(slot, group)
            self._hand_on()
        elif (
            slot.turn.done() and not slot.turn.cancelled() and slot.turn.exception() is None
        ):  # the slot came in the moment of leaving
            slot.leave()

    def _waited(self, slot: Slot, group: Group) -> None:
        self.queued -= 1
        group.backlog -= slot.cost
        if not group.waiting:
            del self._groups[slot.group]

    def _fits(self, slot: Slot) -> bool:
        return not self._is_full() and self._has_room(slot)

    def _is_full(self) -> bool:
        """Whether nobody fits, whatever they take."""
        return self.running >= self.processes or self.weight >= self.capacity

    def _has_room(self, slot: Slot) -> bool:
        """Whether at least half of what it takes is free; were it all, a core would idle beside one that waits."""
        return self.weight + slot.demand / 2 <= self.capacity + _ROUNDING or self.weight <= _ROUNDING

    def _admit(self, slot: Slot) -> None:
        slot.weight = slot.demand
        self.running += 1
        self.weight += slot.weight

    def release(self, slot: Slot) -> None:
        """A job is done, though it may just wait to go on."""
        if slot in self._resuming:
            self._resuming.remove(slot)
            slot.turn.cancel()
        self.running -= 1
        self.adjust(0.0 if slot.paused else -slot.weight)

    def adjust(self, difference: float) -> None:
        """What runs weighs more or less by so much."""
        self.weight += difference
        self._hand_on()

    async def readmit(self, slot: Slot) -> None:
        """Let a paused job go on, before all who have not begun; several may wait for it."""
        if slot not in self._resuming:
            slot.turn = asyncio.get_running_loop().create_future()
            self._resuming.append(slot)
            self._hand_on()
        await asyncio.shield(slot.turn)

    def close(self) -> None:
        """Turn away who waits and who comes."""
        self._closed = True
        for slot in [slot for group in self._groups.values() for slot in group.waiting]:
            if not slot.turn.done():
                slot.turn.set_exception(_stopped())
        self._groups.clear()
        self.queued = 0

    def _hand_on(self) -> None:
        """Give what room there is to those who wait, in their order."""
        while self._resuming and self._has_room(self._resuming[0]):
            slot = self._resuming.popleft()
            slot.paused = False
            self.weight += slot.weight
            _wake(slot)
        while self._groups and not self._resuming and not self._is_full():
            group, rounds = self._next_group()
            slot = group.peek()
            if not self._has_room(slot):
                return
            if rounds:
                for each in self._groups.values():
                    each.deficit += rounds * _QUANTUM
            group.take(slot)
            self._waited(slot, group)
            self._admit(slot)
            if not _wake(slot):
                self.running -= 1
                self.weight -= slot.weight

    def _next_group(self) -> tuple[Group, int]:
        """Whose turn it is, and after how many rounds; those in which nobody could afford a job are skipped."""
        best: tuple[Group, int] | None = None
        for group in self._groups.values():
            rounds = group.rounds_needed()
            if best is None or rounds < best[1]:
                best = group, rounds
            if not rounds:
                break
        assert best is not None
        return best


def _stopped() -> BusyError:
    return BusyError("The server is being stopped.")


def _wake(slot: Slot) -> bool:
    """Hand the slot over; False where nobody waits for it any more."""
    if slot.turn.done():
        return False
    slot.turn.set_result(None)
    return True
