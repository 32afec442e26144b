"""The counts as the server uses them: added to in memory without waiting, written every second."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from tileserver.usage.store import Day, Store

T = TypeVar("T")

_LOG: Final = logging.getLogger("tileserver")
_SECONDS: Final = 1.0
"""Between two times of writing."""
_DAY_SECONDS: Final = 86400


class Usage:
    """Calls of every account's UDFs. Trouble with the file is said, and fails nothing."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path)
        self._thread = ThreadPoolExecutor(1, "usage")
        self._days: dict[tuple[str, str, str, int], Day] = {}
        """What is not written yet."""
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._said = ""
        """The trouble that nobody need read again."""

    def day(self, account_id: str, udf_id: str, token_id: str) -> Day:
        """Today's counts, to be added to at once: they are written within a second."""
        number = int(time.time() // _DAY_SECONDS)
        key = account_id, udf_id, token_id, number
        found = self._days.get(key)
        if found is None:
            date = time.strftime("%Y-%m-%d", time.gmtime(number * _DAY_SECONDS))
            found = self._days[key] = Day(account_id=account_id, day=date, udf_id=udf_id, token_id=token_id)
        if self._task is None:
            self._task = asyncio.create_task(self._write_soon())
        return found

    async def of(self, account_id: str, days: int) -> list[Day]:
        """An account's counts of the last days, today among them; those of this process are all in."""
        await self._write()
        since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (days - 1) * _DAY_SECONDS))
        return await self._try(lambda: self._store.of(account_id, since), [])

    async def close(self) -> None:
        """Write what there is and close the file."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._write()
        await self._try(self._store.close, None)
        self._thread.shutdown()

    async def _write_soon(self) -> None:
        while self._days and not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), _SECONDS)
            except TimeoutError:
                await self._write()
        self._task = None

    async def _write(self) -> None:
        if not self._days:
            return
        written, self._days = self._days, {}
        if not await self._try(lambda: self._store.add(written.values()), False):
            self._restore(written)

    def _restore(self, unwritten: dict[tuple[str, str, str, int], Day]) -> None:
        """What could not be written is added to what has come since."""
        for key, day in unwritten.items():
            since = self._days.setdefault(key, day)
            if since is not day:
                for name in ("calls", "failures", "cached", "ms", "bytes"):
                    setattr(since, name, getattr(since, name) + getattr(day, name))

    async def _try(self, work: Callable[[], T], otherwise: T) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, sqlite3.Error) as error:
            if str(error) != self._said:
                _LOG.warning("warning: the count of calls cannot be used: %s", error)
            self._said = str(error)
            return otherwise
