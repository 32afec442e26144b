"""The server's end of one worker: its channel, what it prints, and how it ends."""

import asyncio
import contextlib
import fcntl
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, cast

import msgspec

from tileserver.execution.calls import CallsProtocol
from tileserver.execution.nursery import Nursery
from tileserver.frames import Assembler, Died, FrameError, Limits, Message, pack
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source
from tileserver.results import Results

PRINTED_LIMIT: Final = 64 * 1024
"""Bytes of what a run printed that are kept, the last ones."""
_PIPE_BYTES: Final = 2**20
"""What a function may print before it has to wait for us; the kernel's usual 64 kB make many small reads."""
_BUFFER: Final = bytearray(_PIPE_BYTES)
"""What is printed passes through here, whichever worker it comes from."""
_MOST: Final = 2**50
_GOODBYE_SECONDS: Final = 2


class WorkerLostError(Exception):
    """The worker died before it answered."""

    def __init__(self, reason: str, *, started: bool, status: int | None, breach: str = "", printed: str = "") -> None:
        super().__init__(reason)
        self.reason, self.started, self.status, self.breach, self.printed = reason, started, status, breach, printed

    @property
    def explained(self) -> bool:
        """Whether the function did it; a SIGKILL comes from elsewhere, and so does a death before the start."""
        return bool(self.breach) or (self.started and self.status not in (None, -signal.SIGKILL))


class Worker(asyncio.Protocol):
    """One worker process."""

    def __init__(self, source: Source, nursery: Nursery) -> None:
        self.source, self._nursery = source, nursery
        self.born = time.monotonic()
        self.jobs = self.memory = 0
        self.retired = False
        """Whether it must not be used again."""
        self.number = self.pid = 0
        self.on_death: Callable[[Worker], None] | None = None
        """Called when it dies; set while it is idle."""
        self.calls = CallsProtocol()
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Assembler()
        self._reply: asyncio.Future[tuple[Message, bytes]] | None = None
        self._looked: tuple[float, float] | None = None
        self._death: asyncio.Future[Died] | None = None
        self._output = -1
        self._results: Results | None = None
        self._printed = bytearray()
        self.alive = True

    @classmethod
    async def bear(cls, nursery: Nursery, source: Source, limits: Limits) -> Self:
        """A new worker that has been sent its source.

        Raises:
            ConnectionError: the nursery has gone.
        """
        self = cls(source, nursery)
        loop = asyncio.get_running_loop()
        (ours, theirs), (our_calls, their_calls) = socket.socketpair(), socket.socketpair()
        self._output, output = _pipe()
        self._results = Results.create()
        given = (theirs.fileno(), output, self._results.descriptor, their_calls.fileno())
        try:
            self.number, self.pid, self._death = await nursery.fork(given, limits)
        except BaseException:
            for each in (ours, our_calls):
                each.close()
            self._close_files()
            raise
        finally:
            theirs.close()
            their_calls.close()
            os.close(output)
        loop.add_reader(self._output, self._read_output)
        ours.setblocking(False)
        our_calls.setblocking(False)
        await loop.create_unix_connection(lambda: self, sock=ours)
        await loop.create_unix_connection(lambda: self.calls, sock=our_calls)
        self._write(source)
        return self

    async def perform(self, job: Job) -> Rendered | Failed:
        """The reply to a job, with what was printed.

        Raises:
            WorkerLostError: it died. TimeoutError: it took too long, and was killed.
        """
        self.jobs += 1
        reply, body = await self._ask(job, job.timeout)
        printed = self._printed_text()
        if not isinstance(reply, (Rendered, Failed)) or reply.id != job.id or not _is_possible(reply):
            raise self._broken("answered something else")
        self.memory = max(reply.memory, self.memory)
        self.retired |= bool(reply.leak)
        if isinstance(reply, Rendered):
            content: Any = self._taken(reply.stored) if reply.stored else body
            return msgspec.structs.replace(reply, body=content, printed=printed)
        return msgspec.structs.replace(reply, printed=printed)

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
        if self._results is not None:
            self._results.mark(begun=False)
        self._printed.clear()
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
        died = None
        if self._death is not None:
            self._nursery.end(self.number)  # it may live on with its channel closed
            with contextlib.suppress(TimeoutError, ConnectionError):
                died = await asyncio.wait_for(asyncio.shield(self._death), _GOODBYE_SECONDS)
        printed = self.take_printed()
        if died is None:
            return WorkerLostError(reason, started=self._has_begun(), status=None, printed=printed)
        reason, breach = _ending(died.status), _breach(died)
        return WorkerLostError(reason, started=self._has_begun(), status=died.status, breach=breach, printed=printed)

    def _has_begun(self) -> bool:
        """Whether the worker has noted the job before it died."""
        return self._results is not None and self._results.begun

    def _broken(self, reason: str) -> WorkerLostError:
        self.kill()
        return WorkerLostError(f"the process {reason}", started=True, status=1)

    def share(self) -> float | None:
        """The part of a core that it takes, or would, since this was asked last; None at first in a job."""
        now, runnable = time.monotonic(), _runnable_seconds(self.pid)
        before, self._looked = self._looked, (now, runnable)
        return (runnable - before[1]) / max(now - before[0], 1e-3) if before else None

    def take_printed(self) -> str:
        """What the last run printed; call it once."""
        self._read_output()
        return self._printed_text()

    def _printed_text(self) -> str:
        """With a reply nothing is left to read: it was printed before, and the loop reads whatever there is before it
        lets anyone go on.
        """
        if not self._printed:
            return ""
        text = self._printed.decode("utf-8", "replace")
        self._printed.clear()
        return text

    def _read_output(self) -> None:
        """Drain the pipe, keeping the end of what came."""
        if self._output < 0:
            return
        try:
            count = os.readv(self._output, (_BUFFER,))
        except BlockingIOError:
            return
        if not count:
            self._stop_reading()
            return
        self._printed += memoryview(_BUFFER)[max(count - PRINTED_LIMIT, 0) : count]
        del self._printed[:-PRINTED_LIMIT]

    def _taken(self, length: int) -> bytes | mmap.mmap:
        assert self._results is not None
        try:
            body = self._results.take(length)
        except (ValueError, OverflowError):
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

    def _stop_reading(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def _close_files(self) -> None:
        self._stop_reading()
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
            self.kill()

    def _received(self, message: Message, body: bytes) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result((message, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has gone."""
        self._end("the process ended")


def _is_possible(reply: Rendered | Failed) -> bool:
    """Whether what a worker says of its cost are numbers to count with: neither infinite nor none at all."""
    return all(0 <= each < _MOST for each in (reply.wall_ms, reply.cpu_ms, reply.runnable_ms, reply.memory))


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe for what is printed, the reading one not blocking."""
    read, write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read, False)
    with contextlib.suppress(OSError, AttributeError):  # beyond a user's allowance it stays small
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def _runnable_seconds(pid: int) -> float:
    """For how long a process has computed, and its main thread waited for a core (proc(5), schedstat)."""
    try:
        used = time.clock_gettime((~pid << 3) | 2)  # the clock of another process: clock_getcpuclockid(3)
        return used + int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _breach(died: Died) -> str:
    """The code of the limit that the function broke, SIGXCPU being the one that the kernel sees to."""
    return "cpu_exceeded" if died.status == -signal.SIGXCPU else died.breach


def _ending(status: int) -> str:
    if status >= 0:
        return f"the process exited with status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"
