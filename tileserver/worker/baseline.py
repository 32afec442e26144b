"""How a worker was when its UDF had been loaded: put back before each job, and compared with after it."""

import _signal  # type: ignore[import-not-found]  # without the enums that `signal` makes of every answer
import os
import signal
import sys
from contextlib import suppress
from typing import Final

from tileserver import processes

_THREADS: Final = 8
"""More threads than after the first job; pools that libraries keep are no leak, one thread per tile is."""
_DESCRIPTORS: Final = 64
_COUNT_EVERY: Final = 16
"""Quick jobs between two counts."""
_SIGNALS: Final = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


class Baseline:
    """Taken after the module level of the UDF has run: what that does is meant."""

    def __init__(self, descriptors: tuple[int, ...]) -> None:
        """Args: descriptors: those that must stay the files that they are."""
        self._descriptors = {each: _identity(each) for each in descriptors}
        self._folder, self._environment = os.getcwd(), dict(_environment())  # noqa: PTH109 - text
        self._path, self._streams = list(sys.path), (sys.stdin, sys.stdout, sys.stderr)
        self._recursion, self._hook = sys.getrecursionlimit(), sys.excepthook
        self._handlers = {each: _signal.getsignal(each) for each in _SIGNALS}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._counts: tuple[int, int] | None = None
        self._uncounted = 0

    def restore(self) -> None:
        """Working directory, environment, umask, signals, streams and module path as they were."""
        os.chdir(self._folder)
        os.umask(0o077)
        if _environment() != self._environment:
            os.environb.clear()
            os.environb.update(self._environment)
        sys.path[:] = self._path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.setrecursionlimit(self._recursion)
        sys.excepthook = self._hook
        self._restore_signals()

    def _restore_signals(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            if _signal.getsignal(number) is not handler:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def leak(self, *, quick: bool) -> str:
        """What makes the worker unfit for another job; empty where it is fit.

        Args:
            quick: whether the job was over so soon that threads and files need be counted only now and then.
        """
        if any(_identity(each) != was for each, was in self._descriptors.items()):
            return "closed descriptors"
        if _has_children():
            return "child processes"
        self._uncounted += 1
        if quick and self._counts and self._uncounted < _COUNT_EVERY:
            return ""
        self._uncounted = 0
        counts = len(processes.threads()), _open_files()
        first = self._counts = self._counts or counts
        if counts[0] > first[0] + _THREADS:
            return "threads"
        return "open files" if counts[1] > first[1] + _DESCRIPTORS else ""


def _environment() -> dict[bytes, bytes]:
    """The environment as `os` keeps it; through the public mapping the comparison takes ten times as long."""
    return os.environ._data  # type: ignore[attr-defined,no-any-return]


def _has_children() -> bool:
    """Asked of the kernel without reaping: a handle of the function's own may still want the status."""
    with suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    except OSError:
        return 0


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
