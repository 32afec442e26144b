"""The other processes' end: an executor that is lent by the one that holds the pool."""

import asyncio
import contextlib
import logging
from typing import Final, TypeVar

import msgspec

from tileserver.errors import BusyError, SetupError
from tileserver.execution.channel import Ask, Channel, Message, Run, Stats, Watch, connect
from tileserver.execution.executor import ExecutorStats
from tileserver.execution.pool_server import HELLO
from tileserver.frames import FrameError
from tileserver.jobs import Described, Job, Rendered, Source
from tileserver.refusals import Refused, refused

_LOG: Final = logging.getLogger("tileserver.execution")
_SPARE: Final = 32
"""Connections that are kept open between jobs."""
_GREETING_SECONDS: Final = 5
_PAUSES: Final = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
"""Seconds between attempts to connect to a holder that lives."""
_SILENT_SECONDS: Final = 5
"""After which a holder, which tells how it stands once a second, is stopped or stuck."""
_Answer = TypeVar("_Answer", bound=Message)


class PoolLostError(ConnectionError):
    """The process that held the pool has gone, or does not answer."""


class PoolClient:
    """The pool of another process. A job has a connection to itself: closing that ends the job."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._spare: list[Channel] = []
        self._busy: set[Channel] = set()
        self._stats: ExecutorStats | None = None
        self._heard = False
        """Whether the holder has told something since the last look."""
        self._watch: Channel | None = None
        self._closed = False

    async def start(self) -> None:
        """Connect.

        Raises:
            OSError: nobody is there.
            SetupError: the holder is of another version.
        """
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                self._watch = await self._connect()
                await self._watch.send(Watch())
                self._note(await self._watch.receive())
        except FrameError:
            raise SetupError("another version runs on this data directory; stop it, or use --data-dir") from None

    async def lost(self) -> None:
        """Return when the holder has gone or fallen silent; until then, note how the pool stands."""
        listening, quiet = asyncio.create_task(self._listen()), 0
        try:
            # In seconds of ours, one by one: while this process itself was stopped, nobody can have been silent.
            while not listening.done() and quiet < _SILENT_SECONDS:
                self._heard = False
                await asyncio.wait({listening}, timeout=1)
                quiet = 0 if self._heard else quiet + 1
        finally:
            listening.cancel()
        if listening.done():
            listening.result()
        else:
            _LOG.warning("the process that holds the pool is stopped or stuck: functions cannot run until it goes on")
            await self.close()

    async def _listen(self) -> None:
        assert self._watch is not None
        with contextlib.suppress(ConnectionError, FrameError):
            while True:
                self._note(await self._watch.receive())

    def _note(self, message: Message) -> None:
        if isinstance(message, Refused):
            raise refused(message)
        if isinstance(message, Stats):
            self._stats, self._heard = msgspec.structs.replace(message.stats, here=False), True

    async def run(self, job: Job, source: Source, *, group: str, nested: bool = False) -> Rendered:
        """The answer to a job; see `Executor.run`.

        Raises:
            PoolLostError: the holder went before it answered, or fell silent.
            BusyError: there was no connection.
        """
        return await self._ask(Run(job=job, source=source, group=group, nested=nested), Rendered)

    async def describe(self, source: Source, options: tuple[str, ...], defaults: tuple[str, ...]) -> Described:
        """What the source's text alone does not say; raises like `run`."""
        return await self._ask(Ask(source=source, options=options, defaults=defaults), Described)

    async def _ask(self, request: Message, kind: type[_Answer]) -> _Answer:
        try:
            channel = self._spare.pop() if self._spare else await self._reach()
            reply = await self._exchange(channel, request)
        except (OSError, FrameError) as error:
            raise PoolLostError(str(error)) from None
        if isinstance(reply, Refused):
            raise refused(reply)
        if not isinstance(reply, kind):
            raise PoolLostError("the process that holds the pool answered something else")
        return reply

    async def _exchange(self, channel: Channel, request: Message) -> Message:
        self._busy.add(channel)
        try:
            await channel.send(request)
            reply = await channel.receive()
        except BaseException:
            channel.close()
            raise
        finally:
            self._busy.discard(channel)
        self._keep(channel)
        return reply

    def _keep(self, channel: Channel) -> None:
        if self._closed or len(self._spare) >= _SPARE:
            channel.close()
        else:
            self._spare.append(channel)

    async def _reach(self) -> Channel:
        """A new connection, tried for again: a burst may leave no room for a moment, though the holder is well.

        Raises:
            OSError: the holder has gone.
            BusyError: it lives, and there was no room.
        """
        for pause in _PAUSES:
            try:
                return await self._connect()
            except OSError as error:
                if self._closed:
                    raise
                reason = str(error)
            await asyncio.sleep(pause)
        _LOG.warning("there was no connection to the process that holds the pool: %s", reason)
        raise BusyError

    async def _connect(self) -> Channel:
        channel = await connect(self._address)
        try:
            await channel.send(HELLO)
            if self._closed:
                raise ConnectionAbortedError("the pool has been left")
        except BaseException:
            channel.close()
            raise
        return channel

    def leave(self) -> None:
        """Ask nothing new; jobs that run may end."""
        self._closed = True
        for channel in [*self._spare, *([self._watch] if self._watch else [])]:
            channel.close()
        self._spare.clear()

    async def close(self) -> None:
        """End the jobs too."""
        self.leave()
        for channel in list(self._busy):
            channel.close()

    def stats(self) -> ExecutorStats:
        """How the pool stood within the last second."""
        assert self._stats is not None
        return self._stats
