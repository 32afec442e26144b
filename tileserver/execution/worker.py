"""The server's end of one worker: its channel, what it prints, and how it ends."""

import asyncio
import contextlib
import mmap
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, cast

import msgspec

from tileserver import handed, processes
from tileserver.execution.calls import CallsProtocol
from tileserver.execution.failures import WorkerLostError, breach, ending
from tileserver.execution.nursery import Nursery
from tileserver.execution.printed import Pipes
from tileserver.frames import REPLY_LIMIT, Assembler, Died, FrameError, Limits, Message, pack
from tileserver.jobs import Describe, Described, Failed, Job, Printed, Rendered, Source, Stored
from tileserver.results import Results

_MOST: Final = 2**50
_GOODBYE_SECONDS: Final = 10
"""For a nursery that has much to do; one that has gone is heard of at once."""
_MOMENT_SECONDS: Final = 0.25
"""Between the end of a process's channel and its own."""


class Worker(asyncio.Protocol):
    """One worker process."""

    def __init__(self, source: Source, nursery: Nursery, limits: Limits) -> None:
        self.source, self._nursery, self.limits = source, nursery, limits
        self.born = time.monotonic()
        self.jobs = self.memory = 0
        self.retired = False
        """Whether it must not be used again."""
        self.number = self.pid = 0
        self.on_death: Callable[[Worker], None] | None = None
        """Called when it dies; set while it is idle."""
        self.calls = CallsProtocol()
        self._files: socket.socket | None = None
        """Where it is given descriptors of files."""
        self._given: handed.Open[bool] = handed.Open()
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Assembler(message_limit=REPLY_LIMIT)
        self._reply: asyncio.Future[tuple[Message, bytes]] | None = None
        self._looked: tuple[float, float] | None = None
        self._death: asyncio.Future[Died] | None = None
        self._pipes = Pipes()
        self._results: Results | None = None
        self._fault = ""
        """What the process did for which it was ended."""
        self.alive = True

    @classmethod
    async def bear(cls, nursery: Nursery, source: Source, limits: Limits, cache: str = "") -> Self:
        """A new worker that has been sent its source. A birth that nobody waits for comes to its end all the same.

        Raises:
            ConnectionError: the nursery has gone.
            OSError: there is no process or no descriptor to be had.
        """
        birth = asyncio.create_task(cls._born(nursery, source, limits, cache))
        try:
            return await asyncio.shield(birth)
        except asyncio.CancelledError:
            birth.add_done_callback(_unwanted)
            raise

    @classmethod
    async def _born(cls, nursery: Nursery, source: Source, limits: Limits, cache: str) -> Self:
        self = cls(source, nursery, limits)
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as lent:
            ours, theirs = _pair(kept, lent)
            our_calls, their_calls = _pair(kept, lent)
            self._files, their_files = _pair(kept, lent)
            kept.callback(self._close_files)
            output, errors = self._pipes.open(lent)
            self._results = Results.create()
            results, sockets = self._results.descriptor, (their_calls.fileno(), their_files.fileno())
            given = (theirs.fileno(), output, errors, results, *sockets)
            self.number, self.pid, self._death = await nursery.fork(given, limits, cache)
            kept.pop_all()
        self._pipes.listen()
        await loop.create_unix_connection(lambda: self, sock=ours)
        await loop.create_unix_connection(lambda: self.calls, sock=our_calls)
        self._write(source)
        return self

    async def perform(self, job: Job) -> Rendered | Failed:
        """The reply to a job, with what was printed.

        Raises:
            WorkerLostError: it died. TimeoutError: it took too long, and was killed. BlockGoneError: the file of its
                block has gone.
        """
        self.jobs += 1
        if job.block is not None and job.block.stored is not None:
            self._give(job.block.stored)
        reply, body = await self._ask(job, job.timeout)
        printed = self._pipes.take()
        if not isinstance(reply, (Rendered, Failed)) or reply.id != job.id or not _is_possible(reply):
            raise self._broken("answered something else")
        self.memory = max(reply.memory, self.memory)
        self.retired |= bool(reply.leak)
        if isinstance(reply, Rendered):
            if max(reply.stored, len(body)) > job.limit:
                raise self._broken("answered more than it may")
            content: Any = self._taken(reply.stored) if reply.stored else body
            return msgspec.structs.replace(reply, body=content, printed=printed)
        return msgspec.structs.replace(reply, printed=printed)

    def _give(self, file: Stored) -> None:
        """Send a file's descriptor, unless it has it."""
        if self._given.get(file):
            return
        descriptor = handed.opened(file)
        try:
            assert self._files is not None
            socket.send_fds(self._files, [b"."], [descriptor])
        except OSError:
            raise self._broken("took no file") from None
        finally:
            os.close(descriptor)
        self._given.put(file, True)

    async def describe(self, question: Describe, seconds: float) -> Described | Failed:
        """The reply to a question about the source; raises like `perform`."""
        reply, _ = await self._ask(question, seconds)
        if isinstance(reply, (Described, Failed)):
            return reply
        raise self._broken("answered something else")

    async def _ask(self, message: Message, seconds: float) -> tuple[Message, bytes]:
        if not self.alive:
            raise WorkerLostError("died while it was idle", started=False, status=None)
        self._looked = None
        assert self._results is not None
        self._results.mark(begun=False)
        self._pipes.clear()
        reply: asyncio.Future[tuple[Message, bytes]] = asyncio.get_running_loop().create_future()
        self._reply = reply
        self._write(message)
        self._nursery.deadlines.add(reply, seconds)
        try:
            return await reply
        except (TimeoutError, asyncio.CancelledError):
            self.kill()
            raise
        except ConnectionError as error:
            raise await self._lost(str(error)) from None
        finally:
            self._reply = None

    async def _lost(self, reason: str) -> WorkerLostError:
        """Why it died, as the nursery tells it in a moment."""
        died = await self._died()
        printed = self.take_printed()
        if self._fault:  # the end was ours, the reason was not
            return WorkerLostError(self._fault, started=True, status=1, printed=printed)
        if died is None:
            return WorkerLostError(reason, started=self._has_begun(), status=None, printed=printed)
        return WorkerLostError(
            ending(died.status),
            started=self._has_begun(),
            status=died.status,
            breach=breach(died),
            printed=printed,
        )

    async def _died(self) -> Died | None:
        """How it died; where it goes on without its channel, it is ended."""
        if self._death is None:
            return None
        with contextlib.suppress(ConnectionError):
            await asyncio.wait((self._death,), timeout=_MOMENT_SECONDS)
            if not self._death.done() and processes.is_alive(self.pid):
                self._fault = self._fault or "the process closed its channel and went on"
            self._nursery.end(self.number)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(self._death), _GOODBYE_SECONDS)
        return None

    def _has_begun(self) -> bool:
        """Whether the worker has noted the job before it died."""
        return self._results is not None and self._results.begun

    def _broken(self, reason: str) -> WorkerLostError:
        self.kill()
        return WorkerLostError(f"the process {reason}", started=True, status=1)

    def take_printed(self) -> Printed:
        """What the last run printed, though there is no reply; call it once."""
        self._pipes.read()
        return self._pipes.take()

    def share(self) -> float | None:
        """The part of a core that it takes, or would, since this was asked last; None at first in a job."""
        now, runnable = time.monotonic(), _runnable_seconds(self.pid)
        before, self._looked = self._looked, (now, runnable)
        return (runnable - before[1]) / max(now - before[0], 1e-3) if before else None

    def _taken(self, length: int) -> bytes | mmap.mmap:
        assert self._results is not None
        try:
            body = self._results.take(length)
        except (ValueError, OverflowError, OSError):
            raise self._broken("wrote less than it said") from None
        self.retired |= not isinstance(body, bytes)
        return body

    def _write(self, message: Message) -> None:
        if self._transport is not None:
            self._transport.write(pack(message))

    def kill(self) -> None:
        """End it at once with everything it started."""
        if self.alive:
            self._nursery.end(self.number)
        self._end("was ended")

    def _end(self, reason: str) -> None:
        self.alive = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError(reason))
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self.calls.close()
        if self.on_death is not None:
            self.on_death(self)

    def close(self) -> None:
        """End it and let go of it."""
        self.kill()
        self._close_files()

    def _close_files(self) -> None:
        self._pipes.close()
        if self._files is not None:
            self._files.close()
        if self._results is not None:
            self._results.close()
            self._results = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The channel is open."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        """A piece of a reply."""
        try:
            for message, body in self._frames.feed(data):
                self._received(message, body)
        except FrameError:
            self._fault = "the process wrote nonsense into its channel"
            self.kill()

    def _received(self, message: Message, body: bytes) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result((message, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has gone."""
        self._end("the process ended")


def _unwanted(birth: "asyncio.Task[Any]") -> None:
    """Let go of a worker whose job has been cancelled before it was there."""
    if not birth.cancelled() and birth.exception() is None:
        birth.result().close()


def _is_possible(reply: Rendered | Failed) -> bool:
    """Whether what a worker says of its cost are numbers to count with: neither infinite nor none at all."""
    return all(0 <= each < _MOST for each in (reply.wall_ms, reply.cpu_ms, reply.runnable_ms, reply.memory))


def _pair(kept: contextlib.ExitStack, lent: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, ours not blocking; each is closed with the stack to which it belongs."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return kept.enter_context(ours), lent.enter_context(theirs)


def _runnable_seconds(pid: int) -> float:
    """For how long a process has computed, and its main thread waited for a core (proc(5), schedstat)."""
    try:
        return processes.processor_seconds(pid) + int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
