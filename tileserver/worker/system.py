"""What Linux offers to keep processes in hand. Elsewhere the calls do nothing."""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

_PDEATHSIG: Final = 1
_SUBREAPER: Final = 36
_NO_NEW_PRIVS: Final = 38


def prctl(option: int, value: int) -> None:
    """prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def keep_in_hand() -> None:
    """Die with the parent, and become the parent of what one's children leave behind."""
    prctl(_PDEATHSIG, signal.SIGKILL)
    prctl(_SUBREAPER, 1)


def lock_down(memory: int) -> None:
    """Limits of a worker.

    Args:
        memory: bytes of data that may be allocated on top of what the process has now.
    """
    prctl(_NO_NEW_PRIVS, 1)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = _data_bytes()
    if used:
        resource.setrlimit(resource.RLIMIT_DATA, (used + memory, used + memory))


def _data_bytes() -> int:
    """Bytes of data as RLIMIT_DATA counts them; 0 where nobody says."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmData:", "VmStk:")))


def children() -> list[int]:
    """Process ids of this process's children."""
    try:
        lists = [task / "children" for task in Path("/proc/self/task").iterdir()]
        return [int(pid) for each in lists for pid in each.read_text().split()]
    except OSError:
        return []
