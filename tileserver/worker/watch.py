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


class Watch:
    """Knows what this process held when it forked, and so what workers hold above that."""

    def __init__(self) -> None:
        self._start: dict[int, int] = {}
        self._disk_due: dict[int, float] = {}

    def breach(self, pid: int, birth: Birth) -> str:
        """The code of the limit that a worker has passed; empty where it has passed none."""
        tree = processes.tree([pid])
        if sum(len(processes.threads(each)) for each in tree) > birth.limits.tasks:
            return "processes_exceeded"
        if self._held(pid, tree) > birth.limits.memory:
            return "memory_exceeded"
        return "disk_exceeded" if self._has_filled(pid, birth) else ""

    def _has_filled(self, pid: int, birth: Birth) -> bool:
        """Whether the scratch folder holds too much; one that takes long to look through is looked at less often."""
        began = time.monotonic()
        if began < self._disk_due.get(pid, 0.0):
            return False
        full = scratch.is_full(birth.scratch, birth.limits.scratch, _FILES)
        self._disk_due[pid] = began + (time.monotonic() - began) / _DISK_SHARE
        return full

    def _held(self, pid: int, tree: list[int]) -> int:
        """Bytes above the worker's own start, with which its forks begin as well. What forks share counts for each."""
        start = self._start.setdefault(pid, system.held_bytes("self"))
        return sum(max(system.held_bytes(each) - start, 0) for each in tree)

    def forget(self, pid: int) -> None:
        """The worker has ended."""
        self._start.pop(pid, None)
        self._disk_due.pop(pid, None)
