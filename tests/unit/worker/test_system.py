"""What keeps processes in hand."""

import os
import resource
import sys
from collections.abc import Callable

import pytest

from tileserver.worker import system

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux offers it")


def in_a_child(check: Callable[[], bool]) -> bool:
    """What `check` says in a process of its own, which it may spoil."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_limits_of_a_worker() -> None:
    """Memory above what it has at the start, no core files, nothing readable by others."""

    def check() -> bool:
        system.lock_down(10**8, 10**6, 100)
        try:
            bytearray(2 * 10**8)
        except MemoryError:
            pass
        else:
            return False
        return len(bytearray(10**7)) > 0 and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) and os.umask(0) == 0o077

    assert in_a_child(check)
