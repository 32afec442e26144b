"""The local pool: one UDF version per worker, warm workers kept, a crash that costs only its own job."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tileserver.errors import (
    BY_CODE,
    BusyError,
    FormatNotPossibleError,
    InvalidParameterError,
    TileserverError,
    UdfCrashedError,
    UdfError,
    UdfSuspendedError,
    UdfTimedOutError,
)
from tileserver.execution.executor import ExecutorStats
from tileserver.execution.nursery import Nursery
from tileserver.execution.queue import Queue
from tileserver.execution.worker import Worker, WorkerLostError
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source

RECYCLE_JOBS: Final = 500
"""Jobs after which a worker is replaced."""
IDLE_SECONDS: Final = 600
"""How long a worker waits for its next job before it is ended."""
BREAKER_CRASHES: Final = 5
BREAKER_SECONDS: Final = 60
REST_SECONDS: Final = 30
_BREACHES: Final = frozenset({"udf_crashed", "memory_exceeded", "result_too_large"})


class LocalExecutor:
    """Workers on this machine."""

    def __init__(
        self,
        *,
        workers: int,
        memory: int,
        environment: Mapping[str, str],
        scratch: Path,
        queue_limit: int | None = None,
        hold: float = 10.0,
    ) -> None:
        self._memory, self._environment, self._scratch = memory, environment, scratch
        self._queue = Queue(workers, limit=queue_limit or 64 * workers, hold=hold)
        self._idle: dict[str, list[Worker]] = {}
        self._since: dict[Worker, float] = {}
        self._workers: set[Worker] = set()
        self._breaker = Breaker()
        self._nursery: Nursery | None = None
        self._restart = asyncio.Lock()
        self._deaths = 0
        self._closed = False

    async def start(self) -> None:
        """Start the nursery; it imports while we go on."""
        self._nursery = Nursery(self._environment, self._scratch, self._memory)
        await self._nursery.start()

    async def run(self, job: Job, source: Source, *, group: str) -> Rendered:
        """The answer to a job; see `Executor.run`."""
        self._breaker.check(job.digest)
        try:
            async with self._queue.slot(group):
                return await self._attempt(job, source)
        except UdfError as error:
            if error.code in _BREACHES:
                self._breaker.count(job.digest)
            raise

    async def _attempt(self, job: Job, source: Source, *, again: bool = False) -> Rendered:
        worker = await self._take(source)
        try:
            reply = await worker.perform(job)
        except WorkerLostError as lost:
            self._deaths += 1
            if self._closed:
                raise BusyError("The server is being stopped.") from None
            if lost.explained or again:
                raise UdfCrashedError(lost.reason, printed=worker.take_printed()) from None
            return await self._attempt(job, source, again=True)
        except TimeoutError:
            message = f"took longer than {job.timeout:g} seconds"
            raise UdfTimedOutError(message, printed=worker.take_printed()) from None
        finally:
            self._give_back(worker)
        if isinstance(reply, Failed):
            raise failure(reply)
        return reply

    async def describe(self, source: Source, options: tuple[str, ...], defaults: tuple[str, ...]) -> Described:
        """What the source's text alone does not say; see `Executor.describe`."""
        async with self._queue.slot(""):
            worker = await self._take(source)
            try:
                reply = await worker.describe(Describe(options=options, defaults=defaults), 30)
            except (WorkerLostError, TimeoutError) as error:
                raise UdfCrashedError(str(error)) from None
            finally:
                self._give_back(worker)
        if isinstance(reply, Failed):
            raise failure(reply)
        return reply

    async def _take(self, source: Source) -> Worker:
        """A warm worker of this version, the one used last; else a new one."""
        waiting = self._idle.get(source.digest, [])
        while waiting:
            worker = waiting.pop()
            self._since.pop(worker, None)
            if worker.alive:
                return worker
            self._end(worker)
        if self._closed:
            raise BusyError("The server is being stopped.")
        self._make_room()
        worker = await Worker.bear(await self._living_nursery(), source, self._scratch)
        self._workers.add(worker)
        return worker

    async def _living_nursery(self) -> Nursery:
        async with self._restart:
            assert self._nursery is not None
            if self._nursery.lost:
                await self._nursery.close()
                await self.start()
            return self._nursery

    def _make_room(self) -> None:
        """End the worker that has been idle longest, where there are as many processes as there may be."""
        while len(self._workers) >= 2 * self._queue.capacity and self._since:
            self._discard(next(iter(self._since)))

    def _give_back(self, worker: Worker) -> None:
        if self._closed or not worker.alive or worker.retired or worker.jobs >= RECYCLE_JOBS:
            self._end(worker)
            return
        self._idle.setdefault(worker.source.digest, []).append(worker)
        self._since[worker] = time.monotonic()
        for old, since in list(self._since.items()):
            if time.monotonic() - since < IDLE_SECONDS:
                break
            self._discard(old)

    def _discard(self, worker: Worker) -> None:
        self._since.pop(worker, None)
        waiting = self._idle.get(worker.source.digest, [])
        if worker in waiting:
            waiting.remove(worker)
        if not waiting:
            self._idle.pop(worker.source.digest, None)
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.close()

    async def close(self) -> None:
        """End every worker and the nursery."""
        self._closed = True
        for worker in list(self._workers):
            self._end(worker)
        if self._nursery is not None:
            await self._nursery.close()

    def stats(self) -> ExecutorStats:
        """How it stands."""
        return ExecutorStats(
            ready=self._nursery is not None and self._nursery.ready,
            capacity=self._queue.capacity,
            running=self._queue.running,
            queued=self._queue.queued,
            workers=len(self._workers),
            deaths=self._deaths,
        )


class Breaker:
    """Rests a UDF version that crashes again and again."""

    def __init__(self) -> None:
        self._crashes: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=BREAKER_CRASHES))
        self._resting: dict[str, float] = {}

    def check(self, digest: str) -> None:
        """Raises UdfSuspendedError while the version rests."""
        if self._resting.get(digest, 0.0) > time.monotonic():
            raise UdfSuspendedError(f"{BREAKER_CRASHES} runs crashed or broke a limit within a minute")

    def count(self, digest: str) -> None:
        """Note a crash."""
        crashes, now = self._crashes[digest], time.monotonic()
        crashes.append(now)
        if len(crashes) == BREAKER_CRASHES and now - crashes[0] < BREAKER_SECONDS:
            self._resting[digest] = now + REST_SECONDS
            crashes.clear()


def failure(reply: Failed) -> TileserverError:
    """The error that a worker's text stands for; a code that none may send is a crash."""
    if reply.code == "invalid_parameter":
        return InvalidParameterError(reply.message, parameter=reply.parameter)
    if reply.code == "format_not_possible":
        return FormatNotPossibleError(reply.message)
    kind = BY_CODE.get(reply.code)
    if kind is None or not issubclass(kind, UdfError):
        kind = UdfCrashedError
    return kind(
        reply.message,
        traceback=reply.traceback,
        line=reply.line,
        printed=reply.printed,
        exception=reply.exception,
        spent=(reply.udf_ms, reply.cpu_ms, reply.memory),
    )
