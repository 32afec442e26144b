"""What Linux offers to keep processes in hand. Elsewhere the calls do nothing."""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tileserver import prctl, processes

HIGH: Final = 200
"""Descriptors from it on are those that functions are unlikely to close or write to by number."""


def descriptors() -> frozenset[int]:
    """What this process has open below the high ones."""
    return frozenset(filter(_is_open, range(HIGH)))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def copied(descriptor: int) -> int:
    """The same file on a high descriptor too, closed on exec."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)


def raised(descriptor: int) -> int:
    """The same file on a high descriptor instead."""
    high = copied(descriptor)
    os.close(descriptor)
    return high


def keep_in_hand() -> None:
    """Die with the parent, and become the parent of what one's children leave behind."""
    prctl.die_with_parent()
    prctl.adopt_orphans()


def lock_down(memory: int, file_size: int, open_files: int) -> None:
    """Limits of a worker; no core dumps, no look into it by others, no rights of root's.

    Args:
        memory: bytes above what the process has now.
    """
    prctl.gain_no_privileges()
    prctl.hide_memory()
    prctl.drop_capabilities()
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, file_size)
    _limit(resource.RLIMIT_NOFILE, open_files)
    used = _data_bytes()
    if used:
        _limit(resource.RLIMIT_DATA, used + memory)


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def limit_cpu(used: float, seconds: float) -> None:
    """SIGXCPU once the process has used so many seconds more; only the soft limit, since it is cumulative."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, hard))


def _data_bytes() -> int:
    """Bytes of data as RLIMIT_DATA counts them; 0 where nobody says."""
    return _status_bytes("VmData:", "VmStk:")


def _status_bytes(*names: str, pid: int | str = "self") -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))


def peak_bytes() -> int:
    """Bytes that this process has held at its peak since `reset_peak`."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)


def reset_peak() -> None:
    """Let `peak_bytes` begin anew (proc(5), clear_refs); where that is not allowed it stays the whole life's."""
    with suppress(OSError):
        file = os.open("/proc/self/clear_refs", os.O_WRONLY)
        os.write(file, b"5")
        os.close(file)


def waited_seconds() -> float:
    """For how long the main thread has waited for a core (proc(5), schedstat); 0 where nobody says."""
    try:
        file = os.open("/proc/self/schedstat", os.O_RDONLY)
    except OSError:
        return 0.0
    fields = os.read(file, 100).split()
    os.close(file)
    return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0


def held_bytes(pid: int | str) -> int:
    """Bytes of memory without those of files; 0 when the process has gone. A fork begins with its parent's."""
    return _status_bytes("RssAnon:", "RssShmem:", pid=pid)


def end_trees(pids: Iterable[int]) -> None:
    """Kill processes with everything below them: stopped first, so that none forks while the others are found."""
    roots, stopped = list(pids), set[int]()
    while found := set(processes.tree(roots)) - stopped:
        _signal(found, signal.SIGSTOP)
        stopped |= found
    _signal(stopped, signal.SIGKILL)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
