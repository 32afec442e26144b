"""Jobs at work: some of a job's tasks at once, each a run of its own; what it printed and came to goes into files."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import msgspec

from tileserver import query as queries
from tileserver.batch.store import BatchJob, Result, Store
from tileserver.errors import BusyError, TileserverError, UdfError
from tileserver.layers import Answer, Ask, Posted
from tileserver.locks import hold
from tileserver.pipeline import Pipeline
from tileserver.usage import Usage

_LOG: Final = logging.getLogger("tileserver")
_LOOK_SECONDS: Final = 0.5
"""How often a job that runs looks whether it shall stop."""
_FILE: Final = Ask("", "", 1, "", tiled=False, hosted=True)


class Task(NamedTuple):
    """One run of a job."""

    posted: Posted
    query: queries.Query
    may_fail: bool = False
    """Whether the job goes on where it fails."""


class Batches:
    """The jobs that this process runs; of all others it knows from their files."""

    def __init__(self, pipeline: Pipeline, usage: Usage, store: Store, at_once: int) -> None:
        """With the number of a job's tasks that may run at once."""
        self.store = store
        self.pipeline, self._usage, self._at_once = pipeline, usage, at_once
        self._running: set[asyncio.Task[None]] = set()
        self._notes = ThreadPoolExecutor(1, "batch")
        """Where is kept how jobs stand, in the order in which they stood so."""

    async def begin(self, job: BatchJob, config: bytes, tasks: Sequence[Task]) -> None:
        """Start a job; it goes on when who asked has gone."""
        lock = await asyncio.to_thread(lambda: hold(self.store.create(job, config)))
        work = _Work(self.pipeline, self._usage, self.store, job, self._notes)
        running = asyncio.create_task(self._run(work, tasks, lock))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _run(self, job: "_Work", tasks: Sequence[Task], lock: int) -> None:
        work = asyncio.ensure_future(job.work(tasks, self._at_once))
        try:
            end = ""
            while not work.done() and not (end := await asyncio.to_thread(self.store.end_of, job.record)):
                await asyncio.wait({work}, timeout=_LOOK_SECONDS)
            work.cancel()
            await asyncio.wait({work})
            await job.note(status=end if work.cancelled() else work.result())
        except Exception:  # an accident of ours: without its lock the job is a failed one
            _LOG.exception("a batch job failed")
        finally:
            os.close(lock)


class _Work:
    """One job."""

    def __init__(
        self, pipeline: Pipeline, usage: Usage, store: Store, record: BatchJob, notes: ThreadPoolExecutor
    ) -> None:
        self._pipeline, self._usage, self._store, self.record, self._notes = pipeline, usage, store, record, notes
        self._failed = False

    async def work(self, tasks: Sequence[Task], at_once: int) -> str:
        """Do all tasks; the status that the job has then."""
        left = iter(enumerate(tasks))
        await asyncio.gather(*(self._draw(left) for _ in range(at_once)))
        return "failed" if self._failed else "completed"

    async def note(self, *, status: str = "running", ended: int = 0) -> None:
        """Keep how the job stands, the newest last: tasks end at the same time, and so may the job."""
        finished, changed = self.record.finished + ended, time.time_ns() // 1_000_000
        self.record = msgspec.structs.replace(self.record, status=status, finished=finished, changed=changed)
        await asyncio.get_running_loop().run_in_executor(self._notes, self._store.write, self.record)

    async def _draw(self, left: Iterator[tuple[int, Task]]) -> None:
        """Do one task after the other, until none is left or one has failed that must not."""
        for number, task in left:
            if not await self._do(number, task) and not task.may_fail:
                self._failed = True
            await self.note(ended=1)
            if self._failed:
                return

    async def _do(self, number: int, task: Task) -> bool:
        try:
            answer = await self._counted(task)
        except TileserverError as error:
            streams, words = (error.streams, error.words) if isinstance(error, UdfError) else ((), "")
            await self._say(number, *streams, f"ERROR: {words or error}")
            return False
        facts = answer.entry.facts
        await self._say(number, *facts.printed)
        result = Result(facts.media_type, facts.coding, bytes(answer.entry.body), *facts.printed)
        await asyncio.to_thread(self._store.keep, self.record, number, result)
        await self._say(number, f"done in {facts.udf_ms / 1000:.2f} s")
        return True

    async def _counted(self, task: Task) -> Answer:
        """The answer, or the failure, as one more call of the account's; raises TooManyRequestsError at its cap."""
        account_id = task.posted.account_id
        caps = await self._pipeline.registry.accounts.caps(account_id)  # which may be others than when the job began
        async with self._usage.admitted(caps):
            try:
                answer = await self._answer(task)
            except UdfError as error:
                self._usage.count(account_id, account_id, "", failures=1, ms=error.spent[0])
                raise
            facts, size = answer.entry.facts, len(answer.entry.body)
            self._usage.count(account_id, account_id, "", ms=facts.udf_ms, bytes=size)
        return answer

    async def _answer(self, task: Task) -> Answer:
        layer = await self._pipeline.posted_layer(task.posted, _FILE, task.query)
        while True:
            try:
                return await self._pipeline.run_long(layer)
            except BusyError as busy:  # nobody waits for it
                await asyncio.sleep(busy.retry_after)

    async def _say(self, number: int, *messages: str) -> None:
        for message in filter(None, messages):
            await asyncio.to_thread(self._store.say, self.record, f"[{number}] {message.rstrip()}")
