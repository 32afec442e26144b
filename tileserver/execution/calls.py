"""The server's end of a worker's socket for calls: what a function runs, loads or reads meanwhile."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol, cast

import msgspec

from tileserver.errors import NotFoundError, TileserverError, UdfError
from tileserver.execution.queue import Slot
from tileserver.frames import CALL_LIMIT, Assembler, FrameError, pack
from tileserver.jobs import CODE, Call, Called, Callee, Caller, Fetch, Job, Output, Read, Rendered, Source, Wish

MOST: Final = 64
"""Calls of one job that may be under way at once."""
UNREAD_LIMIT: Final = 64 * 2**20
"""Bytes of answers that a worker may leave unread before the next is held back."""
_REFUSALS: Final = 1000
"""Refusals that may wait behind what a worker leaves unread."""
_LOG: Final = logging.getLogger("tileserver.execution")
_UNSETTLED: Final = (Callee("", "", ""),)
"""What a failed call adds to what the answer rests on: it is not kept."""


class Answer(Protocol):
    """Who knows the UDFs."""

    async def call(self, call: Call, job: Job, seconds: float) -> Rendered:
        """The result of a call that a job makes within so many seconds; raises TileserverError."""
        ...

    async def code(self, fetch: Fetch, job: Job) -> tuple[Source, tuple[Callee, ...]]:
        """The code that a job's function wants, and what the answer then rests on; raises TileserverError."""
        ...

    async def file(self, read: Read, job: Job) -> Rendered:
        """The file, or the list, that a job's function wants; raises TileserverError."""
        ...

    async def current(self, callees: tuple[Callee, ...]) -> bool:
        """Whether all that was called is as it was."""
        ...


class _Nobody:
    async def call(self, call: Call, job: Job, seconds: float) -> Rendered:
        raise NotFoundError(f"There is nobody who knows '{call.name}'.")

    async def code(self, fetch: Fetch, job: Job) -> tuple[Source, tuple[Callee, ...]]:
        raise NotFoundError(f"There is nobody who knows '{fetch.name}'.")

    async def file(self, read: Read, job: Job) -> Rendered:
        raise NotFoundError(f"There is nobody who knows '{read.name}'.")

    async def current(self, callees: tuple[Callee, ...]) -> bool:
        return False


nobody: Final = _Nobody()
"""Who answers where there is no registry."""


def first_look(account_id: str, digest: str) -> str:
    """The flight in which is found out what only a run tells of a version: calls and those who wait for it name it."""
    return f"look/{account_id}/{digest}"


def description(source: Source, seconds: float) -> Job:
    """The job on whose behalf a module calls while it is only described; workers name it by its number, 0."""
    chain = (first_look(source.account_id, source.digest),)
    caller = Caller(account_id=source.account_id, chain=chain)
    return Job(
        id=0, digest=source.digest, tile=None, arguments={}, output=Output(), timeout=seconds, limit=0, caller=caller
    )


class CallsProtocol(asyncio.Protocol):
    """Hears the calls of one worker; answers for one job at a time, which weighs nothing while a call is under way."""

    def __init__(self) -> None:
        self.callees: tuple[Callee, ...] = ()
        """What the worker called in its whole life: its module may remember all of it, so each answer rests on it."""
        self.tainted = False
        """Whether a call failed, or nothing is heard any more: the worker must not be used again."""
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Assembler(0, CALL_LIMIT)
        self._calling: tuple[Job, Slot, Answer, float] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0
        """Calls that have no answer yet."""
        self._refused = 0
        self._turn, self._writable = asyncio.Lock(), asyncio.Event()
        self._writable.set()

    def attend(self, job: Job, slot: Slot, answer: Answer) -> None:
        """Calls are made on behalf of this job from now on."""
        self._calling = job, slot, answer, time.monotonic() + job.timeout

    def dismiss(self) -> tuple[Callee, ...]:
        """What the job's answer rests on; it is over, and what is still under way is ended."""
        self._calling, self._open = None, 0
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            self._tasks = set()
        return self.callees

    def close(self) -> None:
        """Hear no more."""
        self.dismiss()
        self.tainted = True
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.set_write_buffer_limits(high=UNREAD_LIMIT)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker has gone, or its function has closed what is none of its business."""
        self.tainted, self._transport = True, None

    def pause_writing(self) -> None:
        """The worker does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has read."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """A piece of a call; what is none ends the conversation, and the functions' calls fail."""
        try:
            for message, _ in self._frames.feed(data):
                if isinstance(message, Wish):
                    self._received(message)
        except FrameError:
            self.close()

    def _received(self, call: Wish) -> None:
        if self._calling is None or call.job != self._calling[0].id:
            self._refuse(call, "run() only works while the function runs.")
        elif len(self._tasks) >= MOST:
            self._note(_UNSETTLED)
            self._refuse(call, f"'{call.name}': a function may wait for {MOST} calls at once.")
        else:
            self._begin(call, *self._calling)

    def _refuse(self, call: Wish, message: str) -> None:
        self._send(Called(id=call.id, code="call_failed", message=message), b"")
        self._refused = 0 if self._writable.is_set() else self._refused + 1
        if self._refused > _REFUSALS:  # it asks and asks, and reads nothing
            self.close()

    def _begin(self, call: Wish, job: Job, slot: Slot, answer: Answer, until: float) -> None:
        if not slot.paused:
            slot.pause()
        outcome = partial(_outcome, call, job, answer, until - time.monotonic())
        self._open += 1
        task = asyncio.create_task(self._perform(slot, outcome))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, slot: Slot, outcome: "Callable[[], Awaitable[Outcome]]") -> None:
        answer, body, callees = await outcome()
        self._open -= 1
        if not self._open and slot.paused:
            await slot.resume()
            if self._open and not slot.paused:  # another thread has called meanwhile
                slot.pause()
        self._note(callees)
        async with self._turn:
            await self._writable.wait()
            self._send(answer, body if isinstance(body, bytes) else await asyncio.to_thread(bytes, body))

    def _note(self, callees: tuple[Callee, ...]) -> None:
        self.tainted |= not all(each.digest for each in callees)
        if not set(callees).issubset(self.callees):
            self.callees = tuple(sorted({*self.callees, *callees}))

    def _send(self, answer: Called, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(pack(answer, body))


Outcome = tuple[Called, Any, tuple[Callee, ...]]
"""The answer to a call, its body, and what it rests on."""


async def _outcome(call: Wish, job: Job, answer: Answer, seconds: float) -> Outcome:
    try:
        return await _answered(call, job, answer, seconds)
    except TileserverError as error:
        return Called(id=call.id, code=error.code, message=_sentence(call, error)), b"", _UNSETTLED
    except Exception:  # an accident of ours must not leave the function waiting
        _LOG.exception("a call failed")
        message = f"'{call.name}': something went wrong"
        return Called(id=call.id, code=TileserverError.code, message=message), b"", _UNSETTLED


async def _answered(call: Wish, job: Job, answer: Answer, seconds: float) -> Outcome:
    if isinstance(call, Fetch):
        source, callees = await answer.code(call, job)
        return Called(id=call.id, media_type=CODE), msgspec.msgpack.encode(source), callees
    rendered = await (answer.file(call, job) if isinstance(call, Read) else answer.call(call, job, seconds))
    return Called(id=call.id, media_type=rendered.media_type), rendered.body, rendered.callees


def _sentence(call: Wish, error: TileserverError) -> str:
    """What the caller reads: the function's own words where `Answer` lets them through."""
    if isinstance(error, UdfError) and error.message:
        return f"'{call.name}' failed: {error.words}"
    return f"'{call.name}': {error}"
