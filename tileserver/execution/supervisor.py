"""The nursery, kept alive: watched, started again when it has gone; whoever needs it meanwhile waits."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tileserver.errors import BusyError
from tileserver.execution.nursery import Nursery
from tileserver.execution.worker import Worker
from tileserver.frames import Limits
from tileserver.jobs import Source

_READY_SECONDS: Final = 60
"""How long a job waits for a nursery."""
_PAUSES: Final = (0.0, 0.2, 1.0, 5.0)
"""Before the first, second ... start in a row that came to nothing; then the last again."""


class Supervisor:
    """One nursery after the other."""

    def __init__(self, environment: Mapping[str, str], scratch: Path, limits: Limits) -> None:
        self._environment, self._scratch, self._limits = environment, scratch, limits
        self._nursery: Nursery | None = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._renewed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a worker can be born at once."""
        return self._nursery is not None and self._nursery.ready and not self._nursery.lost

    async def start(self) -> None:
        """Start the first; it imports while we go on."""
        await self._renew()
        self._keeper = asyncio.create_task(self._keep())

    async def bear(self, source: Source) -> Worker:
        """A new worker.

        Raises:
            BusyError: no nursery gets ready.
        """
        limits = self._limits
        if source.memory:
            limits = msgspec.structs.replace(limits, memory=min(source.memory, limits.memory))
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while True:
                    nursery, renewed = self._nursery, self._renewed
                    assert nursery is not None
                    try:
                        return await Worker.bear(nursery, source, self._scratch, limits)
                    except ConnectionError:
                        await renewed.wait()
        except TimeoutError:
            raise BusyError("Functions cannot run at the moment.") from None

    async def _renew(self) -> None:
        before, self._renewed = self._renewed, asyncio.Event()
        self._lost.clear()
        self._nursery = Nursery(self._environment, self._scratch, lost=self._lost.set)
        await self._nursery.start()
        before.set()

    async def _keep(self) -> None:
        """Start another whenever one has gone."""
        failures = 0
        while True:
            await self._lost.wait()
            assert self._nursery is not None
            failures = 0 if self._nursery.ready else failures + 1
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            await self._nursery.close()
            await self._renew()

    async def close(self) -> None:
        """End it with all its workers."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._nursery is not None:
            await self._nursery.close()
