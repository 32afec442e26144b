"""The local pool: one UDF version per worker, warm workers kept, a crash that costs only its own job."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tileserver.errors import (
    BusyError,
    UdfError,
    UdfTimedOutError,
)
from tileserver.execution.breaker import Breaker
from tileserver.execution.calls import Answer, description, nobody
from tileserver.execution.executor import ExecutorStats
from tileserver.execution.failures import WorkerLostError, crash, failure, of_printed, spent
from tileserver.execution.queue import Queue, Slot
from tileserver.execution.sandbox import Sandbox
from tileserver.execution.shares import Share, Shares, as_weight
from tileserver.execution.supervisor import Nurseries
from tileserver.execution.worker import Worker
from tileserver.execution.workers import IDLE_SECONDS, Workers
from tileserver.frames import Limits
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source

_LOG: Final = logging.getLogger("tileserver.execution")
_Reply = TypeVar("_Reply")
_BREACHES: Final = frozenset(
    {"udf_crashed", "memory_exceeded", "result_too_large", "cpu_exceeded", "processes_exceeded", "disk_exceeded"}
)
_WARM: Final = 4
"""Idle workers that are kept for each core; another is born in a fiftieth of a second."""
_LEAST_MEMORY: Final = 64 * 10**6
"""Bytes that a worker counts for at least."""
_ATTEMPTS: Final = 5
"""Workers that a job may meet; only one of them may die with the job begun."""
_DESCRIBE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
"""How often running jobs are weighed while others wait."""


class LocalExecutor:
    """Workers on this machine."""

    def __init__(
        self,
        *,
        workers: float,
        limits: Limits,
        environment: Mapping[str, str],
        scratch: Path,
        memory_budget: int = 8 * 10**9,
        queue_limit: int | None = None,
        token_limit: int | None = None,
        hold: float = 10.0,
        sandbox: Sandbox | None = None,
        caches: Path | None = None,
    ) -> None:
        """Args:
        workers: cores.
        memory_budget: bytes that all workers together may take.
        queue_limit: jobs that may wait.
        token_limit: jobs of one group that may wait.
        hold: seconds that a job may wait.
        sandbox: what functions reach of the machine's files, where isolation is strict.
        caches: where each account has a folder for results of `@cache`; None keeps none.
        """
        limit = queue_limit or max(int(64 * workers), 512)
        self._budget = memory_budget
        self._queue = Queue(
            workers,
            limit=limit,
            hold=hold,
            processes=max(memory_budget // _LEAST_MEMORY, 2),
            group_limit=token_limit or limit,
        )
        self._workers = Workers(warm=max(int(_WARM * workers), _WARM))
        self._shares, self._breaker = Shares(), Breaker()
        self._nurseries = Nurseries(environment, scratch, limits, sandbox, caches)
        self._running: dict[Slot, Worker] = {}
        self._sampler: asyncio.Task[None] | None = None
        self._deaths = 0
        self._closed = False
        self.answer: Answer = nobody

    async def start(self) -> None:
        """Start the nursery; it imports while we go on."""
        self._sampler = asyncio.create_task(self._weigh())
        await self._nurseries.start()

    async def run(self, job: Job, source: Source, *, group: str, nested: bool = False) -> Rendered:
        """The answer to a job; see `Executor.run`."""
        self._breaker.check(job.digest)
        share = self._shares.of(job.digest)
        asked = time.monotonic()
        slot = await self._queue.enter(group, share, hold=job.timeout if nested else None)
        if nested:  # it is the caller's time that it has waited
            job = _shortened(job, time.monotonic() - asked)
        try:
            return await self._tried(slot, lambda gone: self._attempt(_shortened(job, gone), source, slot))
        except UdfError as error:
            if error.code in _BREACHES:
                self._breaker.count(job.digest, f"{job.tile}{sorted(job.arguments.items())}")
            raise
        finally:
            slot.leave()

    async def _tried(self, slot: Slot, attempt: Callable[[float], Awaitable[_Reply]]) -> _Reply:
        """The answer, with another attempt where a worker died of something else than its function.

        Args:
            attempt: is told how many seconds an earlier one has run.
        """
        began = time.monotonic()
        started = 0
        for _ in range(_ATTEMPTS):
            if slot.paused:  # its worker died while it waited for a call
                await slot.resume()
            try:
                return await attempt(time.monotonic() - began if started else 0.0)
            except WorkerLostError as lost:
                self._deaths += 1
                started += lost.started
                if self._closed:
                    raise BusyError("The server is being stopped.") from None
                if lost.explained or started > 1:
                    raise crash(lost, began) from None
        raise BusyError("Functions cannot run at the moment.")

    async def _attempt(self, job: Job, source: Source, slot: Slot) -> Rendered:
        worker = await self._worker(source, job.partition)
        began = time.monotonic()
        self._running[slot] = worker
        worker.calls.attend(job, slot, self.answer)
        try:
            reply = await worker.perform(job)
        except TimeoutError:
            message = f"took longer than {round(job.timeout, 2):g} seconds"
            raise UdfTimedOutError(message, **of_printed(worker.take_printed()), spent=spent(began)) from None
        finally:
            callees = worker.calls.dismiss()
            worker.retired |= worker.calls.tainted
            del self._running[slot]
            self._give_back(worker)
        self._learn(slot.share, reply)
        if isinstance(reply, Failed):
            raise failure(reply)
        return msgspec.structs.replace(reply, callees=callees) if callees or reply.callees else reply

    def _learn(self, share: Share, reply: Rendered | Failed) -> None:
        grew = reply.memory > share.memory
        share.learn(runnable=reply.runnable_ms / 1000, seconds=reply.wall_ms / 1000, memory=reply.memory)
        if grew:
            living = self._workers.living
            held = sum(max(each.memory, _LEAST_MEMORY) for each in living) / max(len(living), 1)
            self._queue.processes = max(int(self._budget / max(held, _LEAST_MEMORY)), 2)

    async def describe(self, source: Source, options: tuple[str, ...], defaults: tuple[str, ...]) -> Described:
        """What the source's text alone does not say; see `Executor.describe`."""
        question = Describe(options=options, defaults=defaults)
        slot = await self._queue.enter("", Share())
        try:
            reply = await self._tried(slot, lambda _: self._described(question, source, slot))
        finally:
            slot.leave()
        if isinstance(reply, Failed):
            raise failure(reply)
        return reply

    async def _described(self, question: Describe, source: Source, slot: Slot) -> Described | Failed:
        worker = await self._worker(source, "")
        worker.calls.attend(description(source, _DESCRIBE_SECONDS), slot, self.answer)
        try:
            reply = await worker.describe(question, _DESCRIBE_SECONDS)
            worker.retired |= isinstance(reply, Failed)  # it may have failed to load
        except TimeoutError:
            raise UdfTimedOutError(f"took longer than {_DESCRIBE_SECONDS:g} seconds to load") from None
        finally:
            worker.calls.dismiss()
            worker.retired |= worker.calls.tainted
            self._give_back(worker)
        return reply

    async def _worker(self, source: Source, partition: str) -> Worker:
        """An idle one of the version, unless it remembers what is so no more; else a new one."""
        while worker := self._workers.take(source.version, partition):
            if worker.source.secrets == source.secrets and await self._may_serve(worker):
                return worker
            self._workers.end(worker)
        return await self._bear(source)

    async def _may_serve(self, worker: Worker) -> bool:
        """Whether what it called is as it was."""
        if not worker.calls.callees:
            return True
        try:
            return await self.answer.current(worker.calls.callees)
        except asyncio.CancelledError:
            self._workers.end(worker)
            raise
        except Exception:  # an accident of ours, as a locked registry: a new worker needs no answer
            _LOG.exception("nobody can tell whether a worker may go on")
            return False

    async def _bear(self, source: Source) -> Worker:
        """A new worker, for which an idle one may have to go."""
        if self._closed:
            raise BusyError("The server is being stopped.")
        while len(self._workers.living) >= self._queue.processes and self._workers.idle:
            self._workers.end_longest_idle()
        self._nurseries.keep({each.source.version for each in self._workers.living} | {source.version})
        worker = await self._nurseries.bear(source)
        self._workers.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        if self._closed:
            self._workers.end(worker)
        else:
            self._workers.give_back(worker)

    async def _weigh(self) -> None:
        """While jobs wait, look whether those that run need the cores that they hold."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._workers.end_idle(IDLE_SECONDS)
            if self._queue.queued:
                for slot, worker in list(self._running.items()):
                    self._weigh_one(slot, worker)

    @staticmethod
    def _weigh_one(slot: Slot, worker: Worker) -> None:
        share = worker.share()
        if share is None or slot.paused:
            return
        slot.weigh(as_weight(share))
        if not slot.share.known:
            slot.share.weight = slot.weight

    async def close(self) -> None:
        """End every worker and the nursery."""
        self._closed = True
        if self._sampler is not None:
            self._sampler.cancel()
            with suppress(asyncio.CancelledError):
                await self._sampler
        self._queue.close()
        self._workers.close()
        await self._nurseries.close()

    def stats(self) -> ExecutorStats:
        """How it stands."""
        return ExecutorStats(
            ready=self._nurseries.ready,
            capacity=self._queue.capacity,
            running=self._queue.running,
            queued=self._queue.queued,
            workers=len(self._workers.living),
            deaths=self._deaths,
        )


def _shortened(job: Job, seconds: float) -> Job:
    """The job with what is left of its time."""
    return msgspec.structs.replace(job, timeout=max(job.timeout - seconds, 0.001)) if seconds else job
