"""The counts as the server uses them: added to in memory without waiting, written every second; and their caps."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tileserver.caps import DAY_SECONDS, Cap, reached
from tileserver.journal import JournalThread
from tileserver.usage.meter import Meter
from tileserver.usage.store import WHAT, Day, Store, Subject, subjects

_SECONDS: Final = 1.0
"""Between two times of writing, and of reading what others wrote."""
_COUNTS: Final = ("calls", "failures", "cached", "ms", "bytes")


class Usage:
    """Calls of every account's UDFs. Trouble with the file is said, and fails nothing."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path)
        self._thread = JournalThread("usage", WHAT)
        self._days: dict[tuple[str, str, str, int], Day] = {}
        """What is not written yet."""
        self._meters: dict[Subject, Meter] = {}
        """Of who has a cap."""
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def count(
        self,
        account_id: str,
        udf_id: str,
        token_id: str,
        *,
        calls: int = 1,
        failures: int = 0,
        cached: int = 0,
        ms: float = 0.0,
        bytes: int = 0,  # noqa: A002 - the name that users see
    ) -> None:
        """Add to today's counts, which are written within a second; see `Day`."""
        day = self._day(account_id, udf_id, token_id)
        day.calls += calls
        day.failures += failures
        day.cached += cached
        day.ms += ms
        day.bytes += bytes
        if self._meters:
            for subject in subjects(account_id, token_id, day.day):
                if subject in self._meters:
                    self._meters[subject].own += calls

    @asynccontextmanager
    async def admitted(self, caps: Sequence[Cap]) -> AsyncIterator[None]:
        """While a call is answered: it takes room until it is counted, or turns out to be none.

        Of this process no call is answered above a cap. Of others it knows what they wrote a second ago.

        Raises:
            TooManyRequestsError: a cap is reached.
        """
        now = time.time()
        meters = [await self._meter((cap.account_id, cap.token_id, _date(now))) for cap in caps]
        for cap, meter in zip(caps, meters, strict=True):
            if meter.calls >= cap.calls_per_day:
                raise reached(cap, now)
        for meter in meters:
            meter.pending += 1
        try:
            yield
        finally:
            for meter in meters:
                meter.pending -= 1

    async def of(self, account_id: str, days: int) -> list[Day]:
        """An account's counts of the last days, today among them; those of this process are all in."""
        await self._write()
        since = _date(time.time() - (days - 1) * DAY_SECONDS)
        return await self._thread.attempt(lambda: self._store.of(account_id, since), [])

    async def close(self) -> None:
        """Write what there is and close the file."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._write()
        await self._thread.close(self._store.close)

    def _day(self, account_id: str, udf_id: str, token_id: str) -> Day:
        number = int(time.time() // DAY_SECONDS)
        key = account_id, udf_id, token_id, number
        found = self._days.get(key)
        if found is None:
            date = _date(number * DAY_SECONDS)
            found = self._days[key] = Day(account_id=account_id, day=date, udf_id=udf_id, token_id=token_id)
        if self._task is None:
            self._task = asyncio.create_task(self._write_soon())
        return found

    async def _meter(self, subject: Subject) -> Meter:
        """With what others had written at most a second ago; who comes while that is read waits for it, too."""
        if subject not in self._meters:
            kept = {each: meter for each, meter in self._meters.items() if each[2] >= subject[2]}
            self._meters = kept | {subject: Meter()}
        meter = self._meters[subject]
        async with meter.reading:
            if asyncio.get_running_loop().time() - meter.read_at >= _SECONDS:
                await self._read(subject, meter)
        return meter

    async def _read(self, subject: Subject, meter: Meter) -> None:
        first = meter.others is None
        if first:  # what is written from now on is written behind the reading: it is in no other count
            meter.own = sum(day.calls for day in self._days.values() if subject in _subjects(day))
        meter.others = await self._thread.attempt(lambda: self._store.others(subject, anew=first), meter.others)
        meter.read_at = asyncio.get_running_loop().time()

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
                for name in _COUNTS:
                    setattr(since, name, getattr(since, name) + getattr(day, name))


def _subjects(day: Day) -> tuple[Subject, Subject]:
    return subjects(day.account_id, day.token_id, day.day)


def _date(seconds: float) -> str:
    """ISO 8601, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
