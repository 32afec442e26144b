"""The holder's end: its executor, lent to the other processes. A connection carries one job at a time."""

import asyncio
import contextlib
import itertools
import logging
import socket
from typing import Final

import msgspec

from tileserver import __version__
from tileserver.errors import SetupError, TileserverError
from tileserver.execution.channel import Ask, Channel, Hello, Message, Run, Stats, Watch
from tileserver.execution.election import BACKLOG
from tileserver.execution.executor import Executor, ExecutorStats
from tileserver.frames import PROTOCOL, FrameError
from tileserver.refusals import Refused, refusal

HELLO: Final = Hello(version=__version__, protocol=PROTOCOL)
_LOG: Final = logging.getLogger("tileserver.execution")
_LAST_SECONDS: Final = 3.0
"""For jobs that came while others ended. Who comes now waits for the next holder, and does so for ten seconds."""


class PoolServer:
    """Answers the other processes out of an executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._server: asyncio.Server | None = None
        self._channels: set[Channel] = set()
        self._jobs: dict[Channel, asyncio.Task[None]] = {}
        self._watchers: set[Channel] = set()
        self._ids = itertools.count(-1, -1)
        """Of the others' jobs; the holder's own count up from 1, and calls name the job that makes them."""
        self._closing = False
        self._end: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, backlog=BACKLOG)

    def stats(self) -> ExecutorStats:
        """How the pool stands, with the processes that share it."""
        return msgspec.structs.replace(self._executor.stats(), processes=1 + len(self._watchers))

    def end_in(self, seconds: float) -> None:
        """The others' jobs have so many seconds from now, whatever was said before."""
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(seconds, self._cut)

    async def close(self) -> None:
        """Let what runs end, take nothing new, and go: the others then ask elsewhere. `end_in` says when at the latest.

        Until what runs now has ended new jobs are taken: nobody else can have the pool meanwhile.
        """
        await self._jobs_end()
        self._refuse()
        await self._jobs_end(_LAST_SECONDS)
        self._cut()

    async def _jobs_end(self, seconds: float | None = None) -> None:
        if self._jobs:
            await asyncio.wait(self._jobs.values(), timeout=seconds)

    def _refuse(self) -> None:
        self._closing = True
        if self._server is not None:
            self._server.close()
        for channel in self._channels - set(self._jobs):
            channel.close()

    def _cut(self) -> None:
        self._refuse()
        for channel in list(self._channels):
            channel.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read on while a job runs: the end of the connection is the end of the job."""
        channel = Channel(reader, writer)
        self._channels.add(channel)
        task: asyncio.Task[None] | None = None
        try:
            await _check(channel)
            while not self._closing:
                request = await channel.receive()
                if task is not None:
                    await task  # it has answered, and has only to return
                task = asyncio.create_task(self._answer(channel, request))
                if not isinstance(request, Watch):
                    self._jobs[channel] = task
        except (ConnectionError, FrameError):
            pass
        finally:
            if task is not None:
                task.cancel()
            channel.close()
            self._channels.discard(channel)

    async def _answer(self, channel: Channel, request: Message) -> None:
        with contextlib.suppress(ConnectionError):
            if isinstance(request, Watch):
                await self._report(channel)
            try:
                await channel.send(await self._perform(request))
                if self._closing:
                    await channel.finish()
            finally:
                self._jobs.pop(channel, None)

    async def _perform(self, request: Message) -> Message:
        try:
            if isinstance(request, Run):
                job = msgspec.structs.replace(request.job, id=next(self._ids))
                return await self._executor.run(job, request.source, group=request.group, nested=request.nested)
            if isinstance(request, Ask):
                return await self._executor.describe(request.source, request.options, request.defaults)
        except TileserverError as error:
            return refusal(error)
        except Exception:  # an accident of ours is said here, and is one there as well
            _LOG.exception("a job for another process failed")
        return Refused(code="error", sentence=TileserverError.sentence)

    async def _report(self, channel: Channel) -> None:
        """Tell how the pool stands, once a second, until the other end goes."""
        self._watchers.add(channel)
        try:
            while True:
                stats = self.stats()
                await channel.send(Stats(stats=stats))
                await asyncio.sleep(1 if stats.ready else 0.05)
        finally:
            self._watchers.discard(channel)


async def _check(channel: Channel) -> None:
    """Refuse a process of another version."""
    hello = await channel.receive()
    if hello == HELLO:
        return
    theirs = hello.version if isinstance(hello, Hello) else "unknown"
    reason = f"tileserver {__version__} runs on this data directory, and this is {theirs}; stop it, or use --data-dir"
    await channel.send(refusal(SetupError(reason)))
    await channel.finish()
    raise ConnectionAbortedError
