"""What a worker puts back before each job, and what makes it unfit for another."""

import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tileserver.worker.baseline import Baseline

RESULTS = os.open(os.devnull, os.O_RDWR)
"""A file that must stay."""


def in_a_child(check: Callable[[Baseline], bool]) -> bool:
    """Whether `check` says so in a process of its own, which it may change as it likes."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check(Baseline(RESULTS)) else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def around() -> list[object]:
    """What a function finds around it; asked without an alarm on its way."""
    signals = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.alarm(0)
    files = [os.fstat(each).st_ino if is_open(each) else None for each in range(3)]
    interpreter = [sys.stdout, list(sys.path), sys.getrecursionlimit(), list(warnings.filters), warnings.showwarning]
    return [Path.cwd(), dict(os.environ), *files, *interpreter, *signals]


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_what_a_job_changed_is_put_back() -> None:
    """Folder, environment, umask, files, signals, alarms, streams, warnings, paths and limits of the interpreter."""

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
        warnings.simplefilter("error")
        warnings.showwarning = print
        os.close(0)
        os.close(1)
        os.dup2(RESULTS, 1)
        os.close(2)
        sys.setrecursionlimit(99)
        changed = around()
        signal.alarm(60)
        signal.setitimer(signal.ITIMER_PROF, 60)
        baseline.restore()
        timers = [signal.getitimer(each) for each in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL)]
        return timers == [(0, 0)] * 2 and changed != before and around() == before and os.umask(0) == 0o077

    assert in_a_child(check)


def threads(count: int) -> None:
    for _ in range(count):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def replace_results() -> None:
    os.dup2(os.open("/", os.O_RDONLY), RESULTS)


@pytest.mark.parametrize(
    ("act", "leak"),
    [
        (lambda: None, ""),
        (lambda: threads(4), ""),
        (lambda: threads(20), "threads"),
        (lambda: [os.open(os.devnull, os.O_RDONLY) for _ in range(100)], "open files"),
        (lambda: subprocess.Popen(["sleep", "60"]), "child processes"),
        (replace_results, "closed descriptors"),
        (lambda: os.close(RESULTS), "closed descriptors"),
    ],
    ids=["nothing", "a pool of threads", "threads", "files", "a process", "another file", "a closed one"],
)
def test_what_a_job_left_behind(act: Callable[[], object], leak: str) -> None:
    """Named; a pool that a library keeps is none."""

    def check(baseline: Baseline) -> bool:
        kept = [baseline.leak(quick=False)]
        kept.append(act())
        return kept[0] == "" and baseline.leak(quick=False) == leak

    assert in_a_child(check)


def test_quick_jobs_are_looked_at_now_and_then() -> None:
    """Threads after many of them at the latest; a process at once."""

    def check(baseline: Baseline) -> bool:
        baseline.leak(quick=True)
        threads(20)
        leaks = {baseline.leak(quick=True) for _ in range(100)}
        with subprocess.Popen(["sleep", "60"]) as process:
            leaks.add(baseline.leak(quick=True))
            process.kill()
        return leaks == {"", "threads", "child processes"}

    assert in_a_child(check)
