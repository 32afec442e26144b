"""What a worker puts back before each job, and what makes it unfit for another."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tileserver.worker.baseline import Baseline


def in_a_child(check: Callable[[Baseline], bool]) -> bool:
    """Whether `check` says so in a process of its own, which it may change as it likes."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check(Baseline((0, 1, 2))) else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def around() -> list[object]:
    """What a function finds around it; asked without an alarm on its way."""
    signals = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.alarm(0)
    return [Path.cwd(), dict(os.environ), sys.stdout, list(sys.path), sys.getrecursionlimit(), *signals]


def test_what_a_job_changed_is_put_back() -> None:
    """Folder, environment, umask, signals, alarms, streams, paths and limits of the interpreter."""

    def check(baseline: Baseline) -> bool:
        before = around()
        os.chdir("/")
        os.environ["CHANGED"] = "yes"
        os.environ.pop("PATH", None)
        os.umask(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
        sys.stdout = None
        sys.path.clear()
        sys.setrecursionlimit(99)
        changed = around()
        signal.alarm(60)
        baseline.restore()
        return changed != before and around() == before and os.umask(0) == 0o077

    assert in_a_child(check)


def threads(count: int) -> None:
    for _ in range(count):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def close_output() -> None:
    os.close(1)
    os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize(
    ("act", "leak"),
    [
        (lambda: None, ""),
        (lambda: threads(4), ""),
        (lambda: threads(20), "threads"),
        (lambda: [os.open(os.devnull, os.O_RDONLY) for _ in range(100)], "open files"),
        (lambda: subprocess.Popen(["sleep", "60"]), "child processes"),
        (close_output, "closed descriptors"),
    ],
    ids=["nothing", "a pool of threads", "threads", "files", "a process", "output"],
)
def test_what_a_job_left_behind(act: Callable[[], object], leak: str) -> None:
    """Named; a pool that a library keeps is none."""

    def check(baseline: Baseline) -> bool:
        kept = [baseline.leak(quick=False)]
        kept.append(act())
        return kept[0] == "" and baseline.leak(quick=False) == leak

    assert in_a_child(check)
