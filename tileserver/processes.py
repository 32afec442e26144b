"""Processes and what is below them, as proc(5) tells; nothing where there is none, or when they have ended."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_EXITING: Final = 4
"""PF_EXITING among the flags of proc(5), stat: set before a process lets go of its files."""


def threads(pid: int | str = "self") -> list[str]:
    """The threads of a process."""
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names only
    except OSError:
        return []


def children(pid: int | str = "self") -> list[int]:
    """Process ids of a process's children."""
    found: list[int] = []
    for thread in threads(pid):
        with suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs or sleeps; one that is about to end, or has not yet been waited for, does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return fields[0] not in (b"Z", b"X") and not int(fields[6]) & _EXITING
    except (OSError, IndexError):
        return False


def processor_seconds(pid: int) -> float:
    """What a process has used of processors until now; raises OSError where it has gone."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of another process: clock_getcpuclockid(3)


def tree(pids: Iterable[int]) -> list[int]:
    """These processes and all below them."""
    found = list(pids)
    for pid in found:  # grows while it is read
        found += children(pid)
    return found
