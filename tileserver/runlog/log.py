"""The log as the server uses it: runs are taken without waiting, written in batches, and read as they come."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from tileserver.journal import JournalThread
from tileserver.runlog.run import Run
from tileserver.runlog.store import KEPT, WHAT, Record, Store

_LOG: Final = logging.getLogger("tileserver.runlog")
BATCH_SECONDS: Final = 0.5
"""How long a run waits to be written."""
POLL_SECONDS: Final = 0.5
"""How often who waits looks for what other processes wrote."""
PENDING_RUNS: Final = 4000
PENDING_BYTES: Final = 16 * 2**20
"""What may wait to be written; beyond it the oldest are dropped."""


class RunLog:
    """The runs of all UDFs, the last ones of each. Trouble with its file is said, and fails nothing."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path)
        self._thread = JournalThread("runlog", WHAT)
        self._pending: deque[Record] = deque()
        self._size = 0
        self._task: asyncio.Task[None] | None = None
        self._written = asyncio.Event()
        """Set at the next batch; then another takes its place."""
        self._stopping = asyncio.Event()

    def add(self, run: Run) -> None:
        """Take a run; it is written within half a second. Does not wait."""
        try:
            record = Record(run.udf_id, msgspec.json.encode(run))
        except (TypeError, ValueError) as error:  # text or parameters that JSON cannot hold
            _LOG.warning("warning: a run of %s is not in its log: %s", run.udf_id, error)
            return
        self._pending.append(record)
        self._size += len(record.json)
        self._drop_oldest()
        if self._task is None:
            self._task = asyncio.create_task(self._write_soon())

    async def last(self, udf_id: str, limit: int = KEPT, *, after: int | None = None) -> list[Run]:
        """A UDF's newest runs, the newest last; with `after`, the first ones that were written behind that id."""
        if after is not None:
            return _runs(await self._thread.attempt(lambda: self._store.behind(udf_id, after, limit), []))
        await self._write()  # who has just seen a run fail finds it
        return _runs(await self._thread.attempt(lambda: self._store.newest(udf_id, limit), []))

    async def page(self, udf_ids: Sequence[str], edge: int | None, limit: int, *, forward: bool) -> list[Run]:
        """Runs of some UDFs in the order of time, or against it, from behind the id `edge` on or from the one end."""
        await self._write()
        return _runs(await self._thread.attempt(lambda: self._store.page(udf_ids, edge, limit, forward=forward), []))

    async def wait(self, udf_id: str, after: int, seconds: float, limit: int = KEPT) -> list[Run]:
        """The runs behind an id as soon as there are any; none after so many seconds, or when the server stops."""
        until = time.monotonic() + seconds
        while True:
            written = self._written  # taken before the look: what is written meanwhile sets this one
            found = await self.last(udf_id, limit, after=after)
            left = until - time.monotonic()
            if found or left <= 0 or self._stopping.is_set():
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(written.wait(), min(left, POLL_SECONDS))

    async def forget(self, udf_id: str) -> None:
        """Drop a UDF's runs."""
        await self._write()
        await self._thread.attempt(lambda: self._store.forget(udf_id), None)

    def release(self) -> None:
        """Let all go who wait, and whoever comes to wait: the server stops."""
        self._stopping.set()
        self._written.set()

    async def close(self) -> None:
        """Write what there is and close the file."""
        self.release()
        if self._task is not None:
            await self._task
        await self._write()
        await self._thread.close(self._store.close)

    def _drop_oldest(self) -> None:
        while len(self._pending) > PENDING_RUNS or self._size > PENDING_BYTES:
            self._size -= len(self._pending.popleft().json)

    async def _write_soon(self) -> None:
        """Write until nothing is left to write; what cannot be written now may be in half a second."""
        while self._pending:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BATCH_SECONDS)
            await self._write()
            if self._stopping.is_set():
                break
        self._task = None

    async def _write(self) -> None:
        if not self._pending:
            return
        batch, self._pending, self._size = self._pending, deque(), 0
        if not await self._thread.attempt(lambda: self._store.append(batch), False):
            self._pending.extendleft(reversed(batch))
            self._size += sum(len(each.json) for each in batch)
            self._drop_oldest()
        written, self._written = self._written, asyncio.Event()
        written.set()


def _runs(rows: list[tuple[int, bytes]]) -> list[Run]:
    return [msgspec.structs.replace(msgspec.json.decode(json, type=Run), id=number) for number, json in rows]
