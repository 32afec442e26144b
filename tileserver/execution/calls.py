"""The server's end of a worker's socket for calls: what a function asks of other UDFs while it runs."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

from tileserver.errors import NotFoundError, TileserverError, UdfError
from tileserver.execution.queue import Slot
from tileserver.frames import Assembler, FrameError, pack
from tileserver.jobs import Call, Called, Callee, Job, Rendered

_LOG: Final = logging.getLogger("tileserver.execution")

_UNSETTLED: Final = (Callee("", "", ""),)
"""What a failed call adds to what the answer rests on: it is not kept."""
Answer = Callable[[Call, Job, float], Awaitable[Rendered]]
"""Gives the result of a call that a job makes within so many seconds; raises TileserverError."""


async def nobody(call: Call, *_: object) -> Rendered:
    """The answer where there is no registry; never one."""
    raise NotFoundError(f"There is nobody who knows '{call.name}'.")


class CallsProtocol(asyncio.Protocol):
    """Hears the calls of one worker; answers for one job at a time, which weighs nothing while a call is under way."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Assembler()
        self._calling: tuple[Job, Slot, Answer, float] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._callees: set[Callee] = set()
        self._open = 0
        """Calls that have no answer yet."""

    def attend(self, job: Job, slot: Slot, answer: Answer) -> None:
        """Calls are made on behalf of this job from now on."""
        self._calling = job, slot, answer, time.monotonic() + job.timeout

    def dismiss(self) -> tuple[Callee, ...]:
        """What the job has called; it is over, and what is still under way is ended."""
        self._calling, self._open = None, 0
        if not self._callees and not self._tasks:
            return ()
        for task in self._tasks:
            task.cancel()
        callees, self._callees, self._tasks = tuple(sorted(self._callees)), set(), set()
        return callees

    def close(self) -> None:
        """Hear no more."""
        self.dismiss()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """A piece of a call; what is none ends the conversation, and the function waits until its deadline."""
        try:
            for message, _ in self._frames.feed(data):
                if isinstance(message, Call):
                    self._received(message)
        except FrameError:
            self.close()

    def _received(self, call: Call) -> None:
        if self._calling is None or call.job != self._calling[0].id:
            refusal = Called(id=call.id, code="call_failed", message="run() only works while the function runs.")
            self._send(refusal, b"")
            return
        job, slot, answer, until = self._calling
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
        self._callees.update(callees)
        self._send(answer, body)

    def _send(self, answer: Called, body: Any) -> None:
        if self._transport is not None:
            self._transport.write(pack(answer, bytes(body)))


Outcome = tuple[Called, Any, tuple[Callee, ...]]
"""The answer to a call, its body, and what it rests on."""


async def _outcome(call: Call, job: Job, answer: Answer, seconds: float) -> Outcome:
    try:
        rendered = await answer(call, job, seconds)
    except TileserverError as error:
        return Called(id=call.id, code=error.code, message=_sentence(call, error)), b"", _UNSETTLED
    except Exception:  # an accident of ours must not leave the function waiting
        _LOG.exception("a call failed")
        return (
            Called(id=call.id, code=TileserverError.code, message=f"'{call.name}': something went wrong"),
            b"",
            _UNSETTLED,
        )
    return Called(id=call.id, media_type=rendered.media_type), rendered.body, rendered.callees


def _sentence(call: Call, error: TileserverError) -> str:
    """What the caller reads; both UDFs are of one account, so it may be the function's own words."""
    if isinstance(error, UdfError) and error.message:
        where = f" (line {error.line})" if error.line else ""
        return f"'{call.name}' failed: {error.message}{where}"
    return f"'{call.name}': {error}"
