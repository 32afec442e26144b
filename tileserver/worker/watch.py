"""What workers take, with all that they started: looked at from outside, by the nursery."""

import time
from typing import Final

from tileserver import processes, scratch
from tileserver.frames import Birth
from tileserver.worker import system

_FILES: Final = 100_000
"""In a scratch folder; more would take long to remove."""
_DISK_SHARE: Final = 0.1
"""Part of the time that may go into looking at scratch folders."""
_FLOODED: Final = 2
"""Times the limit of an account's folder."""
_CACHE_SECONDS: Final = 1
"""Between two looks at one."""


class Watch:
    """Knows what this process held when it forked, and so what workers hold above that."""

    def __init__(self) -> None:
        self._start: dict[int, int] = {}
        self._disk_due: dict[int, float] = {}
        self._cache_due: dict[str, float] = {}
        """When folders of accounts are looked at next."""
        self._still: dict[int, float] = {}
        """Processor time of workers without children when they were looked at last."""

    def breach(self, pid: int, birth: Birth) -> str:
        """The code of the limit that a worker has passed; empty where it has passed none."""
        clock, now = _used(pid), time.monotonic()
        if self._still.get(pid) == clock:  # it has done nothing since
            return ""
        tree, is_due = processes.tree([pid]), now >= self._disk_due.get(pid, 0.0)
        if len(tree) == 1 and is_due:
            self._still[pid] = clock
        else:
            self._still.pop(pid, None)
        if sum(len(processes.threads(each)) for each in tree) > birth.limits.tasks:
            return "processes_exceeded"
        if self._held(pid, tree) > birth.limits.memory:
            return "memory_exceeded"
        return "disk_exceeded" if (is_due and self._has_filled(pid, birth)) or self._has_flooded(birth) else ""

    def _has_filled(self, pid: int, birth: Birth) -> bool:
        """Whether the scratch folder holds too much; one that takes long to look through is looked at less often."""
        began = time.monotonic()
        full = scratch.is_full(birth.scratch, birth.limits.scratch, _FILES)
        self._disk_due[pid] = began + (time.monotonic() - began) / _DISK_SHARE
        return full

    def _has_flooded(self, birth: Birth) -> bool:
        """Whether the account's folder holds far more than it may, as when a function writes there by itself."""
        began = time.monotonic()
        if not birth.cache or began < self._cache_due.get(birth.cache, 0.0):
            return False
        full = scratch.is_full(birth.cache, _FLOODED * birth.limits.cache, _FILES)
        self._cache_due[birth.cache] = began + (time.monotonic() - began) / _DISK_SHARE + _CACHE_SECONDS
        return full

    def _held(self, pid: int, tree: list[int]) -> int:
        """Bytes above the worker's own start, with which its forks begin as well. What forks share counts for each."""
        start = self._start.setdefault(pid, system.held_bytes("self"))
        return sum(max(system.held_bytes(each) - start, 0) for each in tree)

    def forget(self, pid: int) -> None:
        """The worker has ended."""
        self._start.pop(pid, None)
        self._disk_due.pop(pid, None)
        self._still.pop(pid, None)


def _used(pid: int) -> float:
    """Its processor time, for a hundredth of what a look costs; -1 when it has gone."""
    try:
        return processes.processor_seconds(pid)
    except OSError:
        return -1.0
