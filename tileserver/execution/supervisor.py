"""Nurseries, kept alive: watched, started again when they have gone; whoever needs one meanwhile waits.

By default one serves all. In strict isolation each UDF version has its own, in a sandbox of its own.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tileserver.errors import BusyError
from tileserver.execution.nursery import Nursery
from tileserver.execution.sandbox import Sandbox
from tileserver.execution.worker import Worker
from tileserver.frames import Limits
from tileserver.jobs import Source

_LOG: Final = logging.getLogger("tileserver.execution")
_READY_SECONDS: Final = 60
"""How long a job waits for a nursery."""
_PAUSES: Final = (0.0, 0.2, 1.0, 5.0)
"""Before the first, second ... start in a row that came to nothing; then the last again."""
_AGAIN_SECONDS: Final = 0.2
"""After the system gave no process, or no descriptors."""

Version = tuple[str, str]
"""Of a source: an account and a digest."""
_EVERY: Final = ("", "")


class Supervisor:
    """One nursery after the other."""

    def __init__(
        self, environment: Mapping[str, str], scratch: Path, limits: Limits, sandbox: Sandbox | None = None
    ) -> None:
        self._environment, self._scratch, self._limits, self._sandbox = environment, scratch, limits, sandbox
        self._nursery: Nursery | None = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._renewed = asyncio.Event()
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether a worker can be born at once."""
        return self._nursery is not None and self._nursery.ready and not self._nursery.lost

    async def start(self) -> None:
        """Start the first; it imports while we go on."""
        await self._renew()
        self._keeper = asyncio.create_task(self._keep())

    async def bear(self, source: Source, cache: str = "") -> Worker:
        """A new worker.

        Args:
            cache: its account's folder for what outlives it; empty where there is none.

        Raises:
            BusyError: no nursery gets ready.
        """
        limits = self._limits
        if source.memory:
            limits = msgspec.structs.replace(limits, memory=min(source.memory, limits.memory))
        reason = ""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not self._closed:
                    nursery, renewed = self._nursery, self._renewed
                    assert nursery is not None
                    try:
                        return await Worker.bear(nursery, source, limits, cache)
                    except ConnectionError:
                        await renewed.wait()
                    except OSError as error:
                        if reason != str(error):
                            reason = str(error)
                            _LOG.warning("a worker cannot be born: %s", reason)
                        await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            raise BusyError("Functions cannot run at the moment.") from None
        raise BusyError("The server is being stopped.")

    async def _renew(self) -> None:
        self._lost.clear()
        self._nursery = Nursery(self._environment, self._scratch, self._sandbox, lost=self._lost.set)
        await self._nursery.start()
        before, self._renewed = self._renewed, asyncio.Event()
        before.set()

    async def _keep(self) -> None:
        """Start another whenever one has gone."""
        failures = 0
        while True:
            await self._lost.wait()
            assert self._nursery is not None
            failures = 0 if self._nursery.ready else failures + 1
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            try:
                await self._nursery.close()
                await self._renew()
            except Exception:  # whatever it is, it must not be the end of all births
                _LOG.exception("a nursery cannot be started")
                self._lost.set()

    async def close(self) -> None:
        """End it with all its workers; who waits for one is told."""
        self._closed = True
        self._renewed.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._nursery is not None:
            await self._nursery.close()


class Nurseries:
    """Who bears the workers of a version."""

    def __init__(
        self,
        environment: Mapping[str, str],
        scratch: Path,
        limits: Limits,
        sandbox: Sandbox | None = None,
        caches: Path | None = None,
    ) -> None:
        """Args: caches: where each account has a folder for what outlives its workers."""
        self._environment, self._scratch, self._limits, self._sandbox = environment, scratch, limits, sandbox
        self._caches = caches
        self._supervisors: dict[Version, asyncio.Task[Supervisor]] = {}
        self._bearing: Counter[Version] = Counter()
        """Births under way by version: a nursery that is new has no worker yet."""
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether a worker can be born: at once by default, after the start of its nursery in strict isolation."""
        task = self._supervisors.get(_EVERY)
        return self._sandbox is not None or (task is not None and _has_started(task) and task.result().ready)

    async def start(self) -> None:
        """Start the one that serves all; it imports while we go on."""
        if self._sandbox is None:
            await self._supervisor(_EVERY)

    async def bear(self, source: Source) -> Worker:
        """A new worker; raises like `Supervisor.bear`."""
        key = source.version if self._sandbox else _EVERY
        self._bearing[key] += 1
        try:
            cache = self._cache(source.account_id)
            supervisor = await self._supervisor(key, cache)
            return await supervisor.bear(source, str(cache or ""))
        except OSError as error:
            _LOG.warning("a nursery cannot be started: %s", error)
            raise BusyError("Functions cannot run at the moment.") from None
        finally:
            self._bearing[key] -= 1

    def _cache(self, account_id: str) -> Path | None:
        """An account's folder, made where it is new."""
        if self._caches is None or not account_id:
            return None
        folder = self._caches.absolute() / account_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    async def _supervisor(self, key: Version, cache: Path | None = None) -> Supervisor:
        task = self._supervisors.get(key)
        if task is None or (task.done() and not _has_started(task)):
            self._supervisors[key] = asyncio.create_task(self._started(cache))
        return await asyncio.shield(self._supervisors[key])

    async def _started(self, cache: Path | None) -> Supervisor:
        sandbox = self._sandbox and self._sandbox._replace(write=(cache,) if cache else ())
        supervisor = Supervisor(self._environment, self._scratch, self._limits, sandbox)
        await supervisor.start()
        return supervisor

    def keep(self, versions: Collection[Version]) -> None:
        """End the nurseries of versions that have no worker any more."""
        if self._sandbox is None:
            return
        self._bearing = +self._bearing
        kept = {*versions, *self._bearing}
        for key in [key for key, task in self._supervisors.items() if task.done() and key not in kept]:
            ending = asyncio.create_task(self._end(self._supervisors.pop(key)))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    @staticmethod
    async def _end(started: asyncio.Task[Supervisor]) -> None:
        if not started.done() or _has_started(started):
            await (await started).close()

    async def close(self) -> None:
        """End all with all their workers."""
        await asyncio.gather(*self._ending, *map(self._end, self._supervisors.values()), return_exceptions=True)


def _has_started(task: asyncio.Task[Supervisor]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
