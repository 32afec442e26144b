"""What workers take, with all that they started: looked at from outside, by the nursery."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tileserver.frames import Birth
from tileserver.worker import system

_FILES: Final = 100_000
"""In a scratch folder; more would take long to remove."""
_DISK_EVERY: Final = 5
"""Looks between two at a scratch folder."""


class Watch:
    """Knows what this process held when it forked, and so what workers hold above that."""

    def __init__(self) -> None:
        self._start: dict[int, int] = {}
        self._looks: dict[int, int] = {}

    def breach(self, pid: int, birth: Birth) -> str:
        """The code of the limit that a worker has passed; empty where it has passed none."""
        tree = system.tree([pid])
        if sum(len(system.threads(each)) for each in tree) > birth.limits.tasks:
            return "processes_exceeded"
        if self._held(pid, tree) > birth.limits.memory:
            return "memory_exceeded"
        look = self._looks[pid] = self._looks.get(pid, 0) + 1
        if look % _DISK_EVERY == 0 and _is_full(birth.scratch, birth.limits.scratch):
            return "disk_exceeded"
        return ""

    def _held(self, pid: int, tree: list[int]) -> int:
        """Bytes above the worker's own start; its forks share that start."""
        start = self._start.setdefault(pid, system.resident("self"))
        return sum(max(system.resident(each) - start, 0) for each in tree)

    def forget(self, pid: int) -> None:
        """The worker has ended."""
        self._start.pop(pid, None)
        self._looks.pop(pid, None)


def _is_full(folder: str, limit: int) -> bool:
    held = 0
    for number, size in enumerate(_sizes(folder), 1):
        held += size
        if held > limit or number > _FILES:
            return True
    return False


def _sizes(folder: str) -> Iterator[int]:
    """Bytes that each file below a folder has on disk; holes take none."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                yield entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(entry.path)
