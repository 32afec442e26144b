"""When a worker is replaced: the process id that a function returns tells."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pools import on_a_pool, processes_in, source, told, written

from tileserver.execution import LocalExecutor, workers
from tileserver.frames import Limits
from tileserver.jobs import Source

LOOKS = 64
"""Quick runs at most between two looks at threads and files."""
SLOW = 0.003
"""Seconds of a run after which there always is one."""
LEAKS = """
import os, subprocess, threading, time
KEPT = []
@udf
def f(what: str = "", seconds: float = 0):
    match what:
        case "threads":
            for _ in range(20):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
        case "files":
            KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(100))
        case "a process":
            KEPT.append(subprocess.Popen(["sleep", "60"]))
    time.sleep(seconds)
    return {"pid": os.getpid()}
"""
TAKES = """
import os
@udf
def f(size: int = 0):
    taken = b"x" * size
    return {"pid": os.getpid(), "size": len(taken)}
"""


async def worker(executor: LocalExecutor, udf: Source, **arguments: Any) -> int:
    """The process that runs the function."""
    return int((await told(executor, udf, **arguments))["pid"])


async def is_kept(executor: LocalExecutor, udf: Source, **arguments: Any) -> bool:
    """Whether the run after this one is in the same process."""
    return await worker(executor, udf, **arguments) == await worker(executor, udf)


async def until(holds: Callable[[], bool]) -> None:
    """Look until it holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_worker_is_replaced_after_so_many_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three for each, and never two at once."""
    monkeypatch.setattr(workers, "RECYCLE_JOBS", 3)

    async def check(executor: LocalExecutor) -> None:
        udf = source("naps")
        pids = [await worker(executor, udf, seconds=0) for _ in range(9)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]
        assert pids == sorted(pids, key=pids.index)
        assert executor.stats().workers == 0

    on_a_pool(tmp_path, check)


def test_a_worker_is_replaced_at_its_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the end of the run in which it has come to it."""

    async def check(executor: LocalExecutor) -> None:
        udf = source("naps")
        assert await is_kept(executor, udf, seconds=0)
        monkeypatch.setattr(workers, "RECYCLE_SECONDS", 0)
        last = await worker(executor, udf, seconds=0)
        monkeypatch.undo()
        young = await worker(executor, udf, seconds=0)
        assert young != last
        assert await worker(executor, udf, seconds=0) == young

    on_a_pool(tmp_path, check)


def test_a_worker_that_nobody_asks_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process and its folder with it."""
    monkeypatch.setattr("tileserver.execution.local.IDLE_SECONDS", 0)

    async def check(executor: LocalExecutor) -> None:
        await worker(executor, source("naps"), seconds=0)
        await until(lambda: executor.stats().workers == 0)
        await until(lambda: not processes_in(tmp_path, "worker-") and not [*tmp_path.glob("*/worker-*")])

    on_a_pool(tmp_path, check)


@pytest.mark.parametrize("limit", ["the server's", "its own"])
def test_a_worker_that_came_near_its_memory_limit_is_replaced(tmp_path: Path, limit: str) -> None:
    """At four fifths of it, before a run breaks it; the limit may be the function's own."""
    own = {"memory": 2 * 10**8} if limit == "its own" else {}
    limits = Limits(memory=10**9 if own else 2 * 10**8, scratch=10**8)

    async def check(executor: LocalExecutor) -> None:
        udf = written(TAKES, **own)
        assert await is_kept(executor, udf)
        assert await is_kept(executor, udf, size=10**8)
        assert not await is_kept(executor, udf, size=170 * 10**6)
        assert await is_kept(executor, udf, size=10**8)

    on_a_pool(tmp_path, check, limits=limits)


def test_a_worker_that_leaks_nothing_is_kept(tmp_path: Path) -> None:
    """Quick runs or slow ones."""

    async def check(executor: LocalExecutor) -> None:
        udf = written(LEAKS)
        quick = {await worker(executor, udf) for _ in range(3 * LOOKS)}
        slow = {await worker(executor, udf, seconds=SLOW) for _ in range(20)}
        assert len(quick | slow) == 1

    on_a_pool(tmp_path, check)


@pytest.mark.parametrize("what", ["threads", "files"])
def test_a_worker_that_leaves_more_with_each_run_is_replaced(tmp_path: Path, what: str) -> None:
    """What the first run leaves is taken for a library's pool; what the second adds is not."""

    async def check(executor: LocalExecutor) -> None:
        udf = written(LEAKS)
        pids = [await worker(executor, udf, what=what, seconds=SLOW) for _ in range(6)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 2]

    on_a_pool(tmp_path, check)


def test_quick_runs_that_leave_threads_are_found_too(tmp_path: Path) -> None:
    """Later: they are looked at now and then."""

    async def check(executor: LocalExecutor) -> None:
        udf = written(LEAKS)
        first = await worker(executor, udf)
        assert await worker(executor, udf, what="threads") == first
        pids = [await worker(executor, udf) for _ in range(LOOKS + 2)]
        assert pids[-1] != first

    on_a_pool(tmp_path, check)


def test_a_worker_that_leaves_a_process_is_replaced_at_once(tmp_path: Path) -> None:
    """However quick the run was; and what it left has ended with it."""

    async def check(executor: LocalExecutor) -> None:
        udf = written(LEAKS)
        first = await worker(executor, udf, what="a process")
        second = await worker(executor, udf)
        assert first != second
        await until(lambda: processes_in(tmp_path, "worker-") == [second])

    on_a_pool(tmp_path, check)
