"""How a worker was when its UDF had been loaded: put back before each job, and compared with after it."""

import _signal  # type: ignore[import-not-found]  # without the enums that `signal` makes of every answer
import os
import signal
import sys
import warnings
from typing import Final

from tileserver import processes
from tileserver.worker import system

_THREADS: Final = 8
"""More threads than after the first job; pools that libraries keep are no leak, one thread per tile is."""
_DESCRIPTORS: Final = 64
_COUNT_EVERY: Final = 64
"""Quick jobs between two closer looks."""
_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS: Final = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


class Baseline:
    """Taken after the module level of the UDF has run: what that does is meant."""

    def __init__(self, results: int) -> None:
        """Args: results: a descriptor that must stay the file that it is."""
        self._results, self._file = results, _identity(results)
        self._standard = list(map(system.copied, range(3)))
        self._folder = system.raised(os.open(".", os.O_RDONLY))
        self._environment = dict(_environment())
        self._path, self._streams = list(sys.path), (sys.stdin, sys.stdout, sys.stderr)
        self._recursion, self._hook = sys.getrecursionlimit(), sys.excepthook
        self._handlers = list(map(_signal.getsignal, _SIGNALS))
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._filters, self._show = list(warnings.filters), warnings.showwarning
        self._counts: tuple[int, int] | None = None
        self._uncounted = 0

    def restore(self) -> None:
        """Working directory, environment, umask, signals, streams, warnings and module path as they were."""
        os.fchdir(self._folder)
        os.umask(0o077)
        for number, file in enumerate(self._standard):
            os.dup2(file, number)
        if _environment() != self._environment:
            os.environb.clear()
            os.environb.update(self._environment)
        sys.path[:] = self._path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.setrecursionlimit(self._recursion)
        sys.excepthook = self._hook
        self._restore_warnings()
        self._restore_signals()

    def _restore_warnings(self) -> None:
        warnings.showwarning = self._show
        if warnings.filters != self._filters:
            warnings.resetwarnings()
            warnings.filters.extend(self._filters)  # type: ignore[attr-defined]

    def _restore_signals(self) -> None:
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        if list(map(_signal.getsignal, _SIGNALS)) != self._handlers:
            for number, handler in zip(_SIGNALS, self._handlers, strict=True):
                if _signal.getsignal(number) != handler:
                    signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        _signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def leak(self, *, quick: bool) -> str:
        """What makes the worker unfit for another job; empty where it is fit.

        Args:
            quick: whether the job was over so soon that threads and files need be counted only now and then.
        """
        if _has_children():
            return "child processes"
        self._uncounted += 1
        if quick and self._counts and self._uncounted < _COUNT_EVERY:
            return ""
        self._uncounted = 0
        if _identity(self._results) != self._file:
            return "closed descriptors"
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
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    except OSError:
        return 0


def _identity(descriptor: int) -> int:
    """The file's number; of two pipes or nameless files it differs while both are open. -1 where there is none."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1
