"""The living workers: each runs one UDF version; a job goes to one that knows its part of the world.

Among the workers of a version rendezvous hashing (Thaler and Ravishankar, 1998) ranks who keeps a partition; the first
two are tried, then anyone who is idle. So open files and caches of functions are found again, and nobody waits beside
an idle worker.
"""

import time
from typing import Final
from zlib import crc32

from tileserver.execution.worker import Worker

RECYCLE_JOBS: Final = 10_000
"""Jobs after which a worker is replaced."""
RECYCLE_SECONDS: Final = 3600
"""Age at which it is."""
IDLE_SECONDS: Final = 600
"""How long a worker waits for its next job before it is ended."""
_GROWTH: Final = 0.8
"""Part of the memory limit at whose peak a worker is replaced before it breaks the limit."""


class Workers:
    """Who is idle and who is busy."""

    def __init__(self, *, warm: int) -> None:
        """Args: warm: how many may be idle."""
        self._warm = warm
        self.living: set[Worker] = set()
        self._idle: dict[tuple[str, str], dict[Worker, None]] = {}
        """By version, longest first."""
        self._since: dict[Worker, float] = {}
        """Since when each is idle, longest first."""

    @property
    def idle(self) -> int:
        """How many could be ended to make room."""
        return len(self._since)

    def take(self, version: tuple[str, str], partition: str) -> Worker | None:
        """An idle worker of the version, the one that keeps the partition where it can be; None where there is none."""
        while idle := self._idle.get(version):
            chosen = next(reversed(idle))
            if partition and len(idle) > 1:
                chosen = next((each for each in self._keepers(version, partition) if each in idle), chosen)
            self._forget_idle(chosen)
            if chosen.alive:
                return chosen
            self.end(chosen)
        return None

    def _keepers(self, version: tuple[str, str], partition: str) -> list[Worker]:
        """The two that keep a partition, busy or not, the first one first."""
        own = [each for each in self.living if each.source.version == version]
        return sorted(own, key=lambda each: crc32(b"%d/%b" % (each.pid, partition.encode())))[:2]

    def add(self, worker: Worker) -> None:
        """A new one, busy."""
        self.living.add(worker)

    def give_back(self, worker: Worker) -> None:
        """It has done its job: keep it for the next, or end it where it is worn out."""
        now = time.monotonic()
        if self._is_worn(worker, now):
            self.end(worker)
            return
        self._idle.setdefault(worker.source.version, {})[worker] = None
        self._since[worker] = now
        worker.on_death = self.end
        if self.idle > self._warm:
            self.end_longest_idle()

    def _is_worn(self, worker: Worker, now: float) -> bool:
        old = worker.jobs >= RECYCLE_JOBS or now - worker.born > RECYCLE_SECONDS
        return old or not worker.alive or worker.retired or worker.memory > _GROWTH * worker.limits.memory

    def end_idle(self, seconds: float) -> None:
        """End those that have been idle for longer."""
        before = time.monotonic() - seconds
        for worker in [each for each, since in self._since.items() if since < before]:
            self.end(worker)

    def end_longest_idle(self) -> None:
        """Make room for another."""
        self.end(next(iter(self._since)))

    def end(self, worker: Worker) -> None:
        """End it and all that it started."""
        self._forget_idle(worker)
        self.living.discard(worker)
        worker.close()

    def _forget_idle(self, worker: Worker) -> None:
        worker.on_death = None
        self._since.pop(worker, None)
        idle = self._idle.get(worker.source.version)
        if idle is not None:
            idle.pop(worker, None)
            if not idle:
                del self._idle[worker.source.version]

    def close(self) -> None:
        """End all."""
        for worker in list(self.living):
            self.end(worker)
