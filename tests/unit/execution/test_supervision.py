"""The pool over time: who keeps a partition, what wears a worker out, and what happens when the nursery dies."""

import asyncio
import os
import signal
from pathlib import Path

from pools import on_a_pool, processes_in, told

from tileserver.execution import LocalExecutor


def nursery(tmp_path: Path) -> int:
    return min(processes_in(tmp_path))


def test_a_partition_stays_with_its_workers(tmp_path: Path) -> None:
    """Of many workers that could, one is asked for one part of the world, the next one where that is busy."""

    async def check(executor: LocalExecutor) -> None:
        workers = {each["pid"] for each in await asyncio.gather(*(told(executor, "naps") for _ in range(8)))}
        assert len(workers) > 2
        keepers: dict[str, set[int]] = {}
        for turn in range(60):
            partition = f"04{turn % 12:04d}"
            keepers.setdefault(partition, set()).add((await told(executor, "naps", partition=partition))["pid"])
        assert all(len(each) == 1 for each in keepers.values())
        assert len(set.union(*keepers.values())) > 2
        first = "040000"
        both = await asyncio.gather(*(told(executor, "naps", partition=first, seconds=0.2) for _ in range(2)))
        assert {each["pid"] for each in both} > keepers[first]

    on_a_pool(tmp_path, check)


def test_without_a_nursery_jobs_wait(tmp_path: Path) -> None:
    """It is started again by itself; who asks meanwhile waits, and what ran in its workers is tried once more."""

    async def check(executor: LocalExecutor) -> None:
        await told(executor, "naps")
        before = nursery(tmp_path)
        running = asyncio.ensure_future(told(executor, "naps", seconds=0.5))
        while not executor.stats().running:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        os.kill(before, signal.SIGKILL)
        answers = await asyncio.gather(running, *(told(executor, "echo", z=number) for number in range(4)))
        assert [answer["z"] for answer in answers[1:]] == [0, 1, 2, 3]
        assert nursery(tmp_path) != before
        assert executor.stats().ready

    on_a_pool(tmp_path, check)


def test_an_idle_nursery_that_dies_is_replaced(tmp_path: Path) -> None:
    """Without anybody asking."""

    async def check(executor: LocalExecutor) -> None:
        await told(executor, "echo")
        before = nursery(tmp_path)
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while executor.stats().ready or executor.stats().workers:
                await asyncio.sleep(0.01)
            while not executor.stats().ready:
                await asyncio.sleep(0.01)
        assert nursery(tmp_path) != before

    on_a_pool(tmp_path, check)


def test_waiting_functions_share_a_core(tmp_path: Path) -> None:
    """Forty that wait half a second each on two cores end long before they would one after the other."""

    async def check(executor: LocalExecutor) -> None:
        for _ in range(5):
            await told(executor, "naps", seconds=0.3)
        loop = asyncio.get_running_loop()
        began = loop.time()
        most = 0
        jobs = [asyncio.ensure_future(told(executor, "naps", seconds=0.5)) for _ in range(40)]
        while not all(job.done() for job in jobs):
            most = max(most, executor.stats().running)
            await asyncio.sleep(0.01)
        assert most >= 30  # forty where nothing else runs; waking up late looks like computing
        assert loop.time() - began < 8

    on_a_pool(tmp_path, check)


def test_computing_functions_do_not(tmp_path: Path) -> None:
    """However many ask, and however busy the machine is otherwise, two run on two cores.

    Or three, where a hypervisor takes time from these: a function that stands still then looks as if it waited.
    """

    async def check(executor: LocalExecutor) -> None:
        await asyncio.gather(*(told(executor, "computes", seconds=0.2) for _ in range(4)))
        most = 0
        jobs = [asyncio.ensure_future(told(executor, "computes", seconds=0.2)) for _ in range(12)]
        while not all(job.done() for job in jobs):
            most = max(most, executor.stats().running)
            await asyncio.sleep(0.01)
        assert most in (2, 3)

    on_a_pool(tmp_path, check)
