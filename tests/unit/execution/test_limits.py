"""What a worker runs with: a rank behind the server's, and so many seconds of processor time for each run."""

import os
from pathlib import Path

import pytest
from pools import on_a_pool, processes_in, run, told, written

from tileserver.errors import CpuExceededError, UdfTimedOutError
from tileserver.execution import LocalExecutor

RANK = 10
TELLS = """
import os, resource, subprocess, sys, time
SEEN = [sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"]
@udf
def f(busy: float = 0):
    left = resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time()
    until = time.thread_time() + busy
    while time.thread_time() < until:
        pass
    return {
        "pid": os.getpid(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "child": int(subprocess.check_output(SEEN)),
        "seconds": left,
    }
"""
COMPUTES = """
import hashlib, threading
BUFFER = bytes(2**24)
def compute():
    while True:
        hashlib.sha256(BUFFER)  # without the interpreter's lock
@udf
def f(threads: int = 2):
    print("computing", flush=True)
    for _ in range(threads - 1):
        threading.Thread(target=compute, daemon=True).start()
    compute()
"""


def test_workers_and_what_they_start_come_after_the_server(tmp_path: Path) -> None:
    """Ten ranks behind it, as they see it and as the system does."""
    expected = min(os.getpriority(os.PRIO_PROCESS, 0) + RANK, 19)

    async def check(executor: LocalExecutor) -> None:
        seen = await told(executor, written(TELLS))
        assert (seen["nice"], seen["child"]) == (expected, expected)
        [pid] = processes_in(tmp_path, "worker-")
        assert (pid, os.getpriority(os.PRIO_PROCESS, pid)) == (seen["pid"], expected)

    on_a_pool(tmp_path, check)


def test_each_run_has_processor_time_of_its_own(tmp_path: Path) -> None:
    """Its deadline and one or two seconds more, whatever runs before it took in the same process."""

    async def check(executor: LocalExecutor) -> None:
        udf = written(TELLS)
        seen = [await told(executor, udf, busy=0.4, timeout=timeout) for timeout in (10, 10, 10, 5, 30, 10)]
        assert len({each["pid"] for each in seen}) == 1
        more = [each["seconds"] - timeout for each, timeout in zip(seen, (10, 10, 10, 5, 30, 10), strict=True)]
        assert all(0.8 < each < 2.2 for each in more), more

    on_a_pool(tmp_path, check)


@pytest.mark.slow
def test_who_computes_on_several_cores_is_ended_before_the_deadline(tmp_path: Path) -> None:
    """Two threads use twelve seconds of processor time before ten have passed; what was printed is kept."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("it takes two cores")

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(CpuExceededError) as caught:
            await run(executor, written(COMPUTES), timeout=10)
        assert caught.value.code == "cpu_exceeded"
        assert caught.value.printed == "computing\n"
        assert processes_in(tmp_path, "worker-") == []

    on_a_pool(tmp_path, check)


def test_who_computes_on_one_core_has_its_deadline(tmp_path: Path) -> None:
    """The processor's seconds are never fewer than those that have passed."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfTimedOutError):
            await run(executor, written(COMPUTES), timeout=1.5, threads=1)

    on_a_pool(tmp_path, check)
