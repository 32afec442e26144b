"""One pool for all server processes on a data directory.

The first holds it and calls it directly; the others ask it over a socket. If it goes, another takes over, and what had
been asked and not answered is asked once more: a tile's function is asked for its answer, not for what it does.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from tileserver.errors import BusyError, SetupError
from tileserver.execution.calls import Answer, nobody
from tileserver.execution.election import Election
from tileserver.execution.executor import Executor, ExecutorStats
from tileserver.execution.pool_client import PoolClient, PoolLostError
from tileserver.execution.pool_server import PoolServer
from tileserver.jobs import Described, Job, Rendered, Source

_LOG: Final = logging.getLogger("tileserver.execution")
_ATTEMPTS: Final = 2
_START_SECONDS: Final = 5.0
"""How long the start waits to hear whether there is one."""
_DRAIN_SECONDS: Final = 3.0
"""What the others' jobs have where nobody says otherwise."""
_PAUSES: Final = (0.02, 0.02, 0.02, 0.05, 0.1, 0.25)
"""Seconds between looks for a holder that is going or coming, which takes milliseconds; the last is repeated."""
_NOBODY: Final = ExecutorStats(ready=False, capacity=0, running=0, queued=0, workers=0, deaths=0, here=False)
_Result = TypeVar("_Result")


class SharedExecutor:
    """The pool, wherever it is."""

    def __init__(self, data_dir: Path, make_local: Callable[[], Executor], *, hold: float = 10.0) -> None:
        """Args:
        hold: seconds that a job waits for a pool.
        """
        self._make_local, self._hold_seconds = make_local, hold
        self.answer: Answer = nobody
        """Who answers the calls of functions while the pool is here, also those of the others' jobs."""
        self._election = Election(data_dir)
        self._made: Executor | None = None
        """This process's own, from before its start; what is to be closed."""
        self._local: Executor | None = None
        """This process's own, once it has been started."""
        self._server: PoolServer | None = None
        self._client: PoolClient | None = None
        self._found = asyncio.Event()
        """Set while there is a pool, and for good when this process stops looking for one."""
        self._seeking: asyncio.Task[None] | None = None
        self._begun = False
        """Whether the start is over: what fails later is tried again."""
        self._misses = 0
        """Looks in a row that found no holder."""
        self._retired = False
        self._reason = ""
        """Why there is no pool, as the log has it: with paths, which are not for strangers."""

    async def start(self) -> None:
        """Hold the pool or find who does; does not wait until functions can run.

        Raises:
            SetupError: a process of another version holds it.
        """
        self._seeking = asyncio.create_task(self._seek())
        found = asyncio.create_task(self._found.wait())
        await asyncio.wait({self._seeking, found}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        found.cancel()
        self._begun = True
        if self._seeking.done():
            self._seeking.result()

    async def _seek(self) -> None:
        """Take the pool if nobody has it; else use the holder's until it goes, and try again."""
        while not self._retired:
            try:
                if self._wins():
                    await self._hold()
                    return
                await self._join()
            except (OSError, SetupError) as error:
                await self._missed(error)

    async def _missed(self, error: OSError | SetupError) -> None:
        """Wait: a moment where the holder is going or coming, longer where this process could not hold or join."""
        if isinstance(error, OSError) and not self._election.won:
            await asyncio.sleep(_PAUSES[min(self._misses, len(_PAUSES) - 1)])
            self._misses += 1
            return
        if not self._begun:
            raise error
        self._explain(str(error))
        await self._resign()
        await asyncio.sleep(1)

    def _explain(self, reason: str) -> None:
        """Say, once, why functions cannot run."""
        if reason != self._reason:
            _LOG.warning("functions cannot run: %s", reason)
        self._reason = reason

    def _wins(self) -> bool:
        try:
            return self._election.run()
        except OSError as error:  # a file system without locks, which no second process can use either
            _LOG.warning("the pool cannot be shared: %s", error)
            return True

    async def _hold(self) -> None:
        local = self._made = self._make_local()
        local.answer = self.answer
        await local.start()
        self._local, self._server = local, PoolServer(local)
        try:
            if self._election.won and not self._retired:
                await self._server.start(self._election.listen())
        except OSError as error:
            _LOG.warning("the pool cannot be shared: %s", error)
        self._found.set()

    async def _resign(self) -> None:
        """Close the pool of this process, if it has one, and let another have it."""
        if self._server is not None:
            await self._server.close()
        if self._made is not None:
            await self._made.close()
        self._election.resign()

    async def _join(self) -> None:
        """Use the holder's pool for as long as it is there."""
        client = PoolClient(self._election.address)
        try:
            await client.start()
            self._client, self._misses, self._reason = client, 0, ""
            self._found.set()
            await client.lost()
        finally:
            self._lose(client)

    def _lose(self, client: PoolClient) -> None:
        client.leave()
        if self._client is client:
            self._client = None
            if not self._retired:
                self._found.clear()

    async def run(self, job: Job, source: Source, *, group: str, nested: bool = False) -> Rendered:
        """The answer to a job; see `Executor.run`."""
        if self._local is not None:
            return await self._local.run(job, source, group=group, nested=nested)
        return await self._ask(lambda pool: pool.run(job, source, group=group, nested=nested))

    async def describe(self, source: Source, options: tuple[str, ...], defaults: tuple[str, ...]) -> Described:
        """What the source's text alone does not say; see `Executor.describe`."""
        return await self._ask(lambda pool: pool.describe(source, options, defaults))

    async def _ask(self, ask: Callable[[Executor | PoolClient], Awaitable[_Result]]) -> _Result:
        for _ in range(_ATTEMPTS):
            pool = await self._pool()
            try:
                return await ask(pool)
            except PoolLostError as error:
                _LOG.info("a job lost its pool: %s", error)
                if isinstance(pool, PoolClient):
                    self._lose(pool)
        raise BusyError("The process that ran the function ended; try again in a moment.")

    async def _pool(self) -> Executor | PoolClient:
        if not self._found.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), self._hold_seconds)
        pool = self._local or self._client
        if pool is None:
            raise BusyError("The server is being stopped." if self._retired else "Functions cannot run at the moment.")
        return pool

    def retire(self, seconds: float = _DRAIN_SECONDS) -> None:
        """Take the pool no more, for this process will end; what it has it keeps until `close`.

        Args:
            seconds: what the others' jobs have, if the pool is here; may be said again.
        """
        self._retired = True
        self._found.set()
        if self._server is not None:
            self._server.end_in(seconds)
        if self._seeking is not None and self._client is None and self._local is None:
            self._seeking.cancel()

    async def close(self) -> None:
        """End everything of this process; the pool is another's afterwards."""
        if not self._retired:
            self.retire()
        client = self._client
        if self._seeking is not None:
            self._seeking.cancel()
            await asyncio.gather(self._seeking, return_exceptions=True)
        if client is not None:
            await client.close()
        await self._resign()
        self._election.close()

    def stats(self) -> ExecutorStats:
        """How the pool stands; as of the last second where it is elsewhere."""
        if self._local is not None and self._server is not None:
            return self._server.stats()
        return self._client.stats() if self._client is not None else _NOBODY
