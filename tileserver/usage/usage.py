"""The counts as the server uses them: added to in memory without waiting, written every second."""

import asyncio
import time
from pathlib import Path
from typing import Final

from tileserver.journal import JournalThread
from tileserver.usage.store import WHAT, Day, Store

_SECONDS: Final = 1.0
"""Between two times of writing."""
_DAY_SECONDS: Final = 86400


class Usage:
    """Calls of every account's UDFs. Trouble with the file is said, and fails nothing."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path)
        self._thread = JournalThread("usage", WHAT)
        self._days: dict[tuple[str, str, str, int], Day] = {}
        """What is not written yet."""
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

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
        return await self._thread.attempt(lambda: self._store.of(account_id, since), [])

    async def close(self) -> None:
        """Write what there is and close the file."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._write()
        await self._thread.close(self._store.close)

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
        if not await self._thread.attempt(lambda: self._store.add(written.values()), False):
            self._restore(written)

    def _restore(self, unwritten: dict[tuple[str, str, str, int], Day]) -> None:
        """What could not be written is added to what has come since."""
        for key, day in unwritten.items():
            since = self._days.setdefault(key, day)
            if since is not day:
                for name in ("calls", "failures", "cached", "ms", "bytes"):
                    setattr(since, name, getattr(since, name) + getattr(day, name))
