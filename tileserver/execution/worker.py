"""The server's end of one worker: its channel, what it prints, and how it ends."""

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any, Final, Self, cast

import msgspec

from tileserver.execution.nursery import Nursery
from tileserver.frames import Assembler, FrameError, Message, pack
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source, Started

PRINTED_LIMIT: Final = 64 * 1024
"""Bytes of what a run printed that are kept, the last ones."""


class WorkerLostError(Exception):
    """The worker died before it answered."""

    def __init__(self, reason: str, *, started: bool, status: int | None) -> None:
        super().__init__(reason)
        self.reason, self.started, self.status = reason, started, status

    @property
    def explained(self) -> bool:
        """Whether the function did it; a SIGKILL comes from elsewhere, and so does a death before the start."""
        return self.started and self.status not in (None, -signal.SIGKILL)


class Worker(asyncio.Protocol):
    """One worker process."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.jobs = 0
        self.retired = False
        """Whether it must not be used again."""
        self.pid = 0
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Assembler()
        self._reply: asyncio.Future[tuple[Message, bytes]] | None = None
        self._started = False
        self._death: asyncio.Future[int] | None = None
        self._output = -1
        self._results = -1
        self._printed = bytearray()
        self.alive = True

    @classmethod
    async def bear(cls, nursery: Nursery, source: Source, scratch: Path) -> Self:
        """A new worker that has been sent its source."""
        self = cls(source)
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        self._output, output = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(output, True)
        self._results, results = _results_file(scratch)
        try:
            self.pid, self._death = await nursery.fork(theirs, output, results)
        except BaseException:
            ours.close()
            self._close_files()
            raise
        finally:
            theirs.close()
            os.close(output)
            os.close(results)
        ours.setblocking(False)
        loop.add_reader(self._output, self._read_output)
        await loop.create_unix_connection(lambda: self, sock=ours)
        self._write(source)
        return self

    async def perform(self, job: Job) -> Rendered | Failed:
        """The reply to a job, with what was printed.

        Raises:
            WorkerLostError: it died. TimeoutError: it took too long, and was killed.
        """
        self.jobs += 1
        reply, body = await self._ask(job, job.timeout)
        printed = self._take_printed()
        if isinstance(reply, Rendered):
            content: Any = self._stored(reply.stored) if reply.stored else body
            return msgspec.structs.replace(reply, body=content, printed=printed)
        if isinstance(reply, Failed):
            return msgspec.structs.replace(reply, printed=printed)
        raise self._broken("answered something else")

    async def describe(self, question: Describe, seconds: float) -> Described | Failed:
        """The reply to a question about the source; raises like `perform`."""
        reply, _ = await self._ask(question, seconds)
        if isinstance(reply, (Described, Failed)):
            return reply
        raise self._broken("answered something else")

    async def _ask(self, message: Message, seconds: float) -> tuple[Message, bytes]:
        if not self.alive:
            raise WorkerLostError("died while it was idle", started=False, status=None)
        self._started = False
        self._printed.clear()
        self._reply = asyncio.get_running_loop().create_future()
        self._write(message)
        try:
            async with asyncio.timeout(seconds):
                return await self._reply
        except (TimeoutError, asyncio.CancelledError):
            self.kill()
            raise
        except ConnectionError as error:
            raise await self._lost(str(error)) from None
        finally:
            self._reply = None

    async def _lost(self, reason: str) -> WorkerLostError:
        status = None
        if self._death is not None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                status = await asyncio.wait_for(asyncio.shield(self._death), 2)
        self._read_output()
        return WorkerLostError(_ending(status) if status is not None else reason, started=self._started, status=status)

    def _broken(self, reason: str) -> WorkerLostError:
        self.kill()
        return WorkerLostError(f"the process {reason}", started=True, status=1)

    def take_printed(self) -> str:
        """What the last run printed; call it once."""
        return self._take_printed()

    def _take_printed(self) -> str:
        self._read_output()
        text = self._printed.decode("utf-8", "replace")
        self._printed.clear()
        return text

    def _read_output(self) -> None:
        """Drain the pipe, keeping the end of what came."""
        if self._output < 0:
            return
        for _ in range(16):
            try:
                piece = os.read(self._output, 65536)
            except BlockingIOError:
                return
            if not piece:
                self._stop_reading()
                return
            self._printed += piece
            del self._printed[:-PRINTED_LIMIT]

    def _stored(self, length: int) -> mmap.mmap:
        """The results file as the body; the worker that wrote it is not used again."""
        self.retired = True
        if os.fstat(self._results).st_size < length:
            raise self._broken("wrote less than it said")
        return mmap.mmap(self._results, length, access=mmap.ACCESS_READ)

    def _write(self, message: Message) -> None:
        if self._transport is not None:
            self._transport.write(pack(message))

    def kill(self) -> None:
        """End it at once; the nursery ends what it started."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._end("was ended")

    def _end(self, reason: str) -> None:
        self.alive = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError(reason))
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def close(self) -> None:
        """Let go of it; it ends by itself when its channel closes, and at once if it does not."""
        self.kill()
        self._close_files()

    def _stop_reading(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def _close_files(self) -> None:
        self._stop_reading()
        if self._results >= 0:
            os.close(self._results)
            self._results = -1

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
            self._started = True
            self.kill()

    def _received(self, message: Message, body: bytes) -> None:
        if isinstance(message, Started):
            self._started = True
        elif self._reply is not None and not self._reply.done():
            self._reply.set_result((message, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has gone."""
        self._end("the process ended")


def _results_file(scratch: Path) -> tuple[int, int]:
    """Two descriptors of one nameless file."""
    with tempfile.TemporaryFile(dir=scratch) as file:
        return os.dup(file.fileno()), os.dup(file.fileno())


def _ending(status: int) -> str:
    if status >= 0:
        return f"the process exited with status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"
