"""What a job spends of time, processor and memory.

Asking the kernel costs half a microsecond and more, each time: what a quick job cannot have spent is not asked for, but
taken from what was counted last.
"""

import resource
import time
from typing import Any, Final

from tileserver.worker import system

QUICK_SECONDS: Final = 0.002
"""Jobs below it are not looked at in every detail."""
_QUICK_JOBS: Final = 64
"""So many in a row at most spend an eighth of a second before they are counted."""
_PEAK_BYTES: Final = 10**6


class Cost:
    """Of one worker, a job at a time."""

    def __init__(self) -> None:
        self._start = self._peak = self._floor = system.peak_bytes()
        self._limited = 0.0
        self._unlimited = 0
        self._counted = _counts()
        self.begin()

    def limit(self, seconds: float) -> None:
        """So much processor time more, and not much more than that."""
        self._unlimited -= 1
        if self._unlimited < 0 or not self._limited - 1 <= seconds <= self._limited:
            self._limited, self._unlimited = seconds + 1, _QUICK_JOBS
            system.limit_cpu(time.process_time(), seconds + 1)

    def begin(self) -> None:
        """Count from here on."""
        if self._peak > self._floor + _PEAK_BYTES:  # what the job before took is no peak of this one
            system.reset_peak()
            self._peak = self._floor = system.peak_bytes()
        self._began, self._thread = time.perf_counter(), time.thread_time()

    def is_quick(self) -> bool:
        """Whether the job has been short until now."""
        return time.perf_counter() - self._began < QUICK_SECONDS

    def noted(self, *, quick: bool) -> dict[str, Any]:
        """The fields of a reply that say what was spent until now."""
        seconds = time.perf_counter() - self._began
        self._peak = system.peak_bytes()
        cpu = time.thread_time() - self._thread
        waited = 0.0
        if not quick:
            others, waited = self._count()
            cpu += others
            self._unlimited = 0
        return {
            "wall_ms": seconds * 1000,
            "cpu_ms": cpu * 1000,
            "runnable_ms": min(cpu + waited, max(cpu, seconds)) * 1000,
            "memory": max(self._peak - self._start, 0),
        }

    def _count(self) -> tuple[float, float]:
        """Seconds of processor that all but this thread took since this was asked last, and that this one waited."""
        before, self._counted = self._counted, _counts()
        others, waited = (max(now - then, 0.0) for now, then in zip(self._counted, before, strict=True))
        return others, waited  # nobody says how long it waited where no file can be opened any more


def _counts() -> tuple[float, float]:
    """Seconds of other threads and of children that have ended; and of waiting for a core."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = time.process_time() - time.thread_time() + children.ru_utime + children.ru_stime
    return others, system.waited_seconds()
