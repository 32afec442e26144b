"""Workers that cannot be born for a moment, nurseries that cannot be started, and what the nursery must not lend."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pools import LIMITS, on_a_loop, on_a_pool, processes_in, source, told

from tileserver.execution import LocalExecutor, sandbox
from tileserver.execution.nursery import BirthFailedError, Nursery
from tileserver.execution.sandbox import Sandbox
from tileserver.execution.worker import Worker

LACKING = sandbox.missing()


def descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextlib.contextmanager
def open_files(limit: int) -> Iterator[None]:
    """This process may have so many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def said(records: pytest.LogCaptureFixture, words: str) -> None:
    """Returns when the log says so."""
    async with asyncio.timeout(10):
        while not any(words in each.getMessage() for each in records.records):
            await asyncio.sleep(0.01)


def test_a_job_waits_for_descriptors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that has opened all it may is no accident for who asks: a worker is born as soon as there are some."""

    async def check(executor: LocalExecutor) -> None:
        await told(executor, "echo")
        with open_files(descriptors() + 3), caplog.at_level(logging.WARNING):
            job = asyncio.create_task(told(executor, "naps"))
            await said(caplog, "cannot be born")
            assert not job.done()
        assert (await job)["pid"]

    on_a_pool(tmp_path, check)


def test_a_nursery_that_cannot_be_started_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The folder for its workers is away for a while; afterwards all is as it was."""
    place, away = tmp_path / "scratch", tmp_path / "away"
    place.mkdir()

    async def check(executor: LocalExecutor) -> None:
        before = (await told(executor, "naps"))["pid"]
        place.rename(away)
        os.kill(min(processes_in(away)), signal.SIGKILL)
        await said(caplog, "a nursery cannot be started")
        job = asyncio.create_task(told(executor, "naps"))
        await asyncio.sleep(0)
        place.mkdir()
        assert (await job)["pid"] != before

    on_a_pool(place, check)


def test_a_worker_has_no_way_to_the_nursery(tmp_path: Path) -> None:
    """Whatever number the server's end of its control socket had: a worker has a channel, and two sockets besides."""
    nothing = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]

    async def check(executor: LocalExecutor) -> None:
        assert len(await told(executor, "holds")) == 3
        assert len(await told(executor, "holds")) == 3

    try:
        with open_files(4000):
            on_a_pool(tmp_path, check)
    finally:
        for each in nothing:
            os.close(each)


async def born(nursery: Nursery) -> Worker:
    """Another worker, as soon as the nursery has read what it was told before."""
    while True:
        try:
            return await Worker.bear(nursery, source("naps"), LIMITS)
        except BirthFailedError:
            await asyncio.sleep(0.01)


def test_a_nursery_that_is_told_much_at_once(tmp_path: Path) -> None:
    """It stands still for a moment while a thousand ends are asked for; it must not be taken for dead."""

    async def check() -> None:
        nursery = Nursery({}, tmp_path)
        await nursery.start()
        try:
            worker = await Worker.bear(nursery, source("naps"), LIMITS)
            other = await Worker.bear(nursery, source("naps"), LIMITS)
            pid = min(processes_in(tmp_path))
            os.kill(pid, signal.SIGSTOP)
            for _ in range(1000):
                nursery.end(worker.number)
            other.kill()
            os.kill(pid, signal.SIGCONT)
            for each in (worker, other):
                assert each._death is not None
                assert (await each._death).status in (-signal.SIGKILL, 0)  # or by itself, its channel being closed
                each.close()
            (await born(nursery)).close()
        finally:
            await nursery.close()

    on_a_loop(check)
    assert processes_in(tmp_path) == []


def test_a_birth_that_nobody_waits_for_leaves_nothing(tmp_path: Path) -> None:
    """Cancelled at any point of it, it costs neither a descriptor nor a process."""

    async def check(executor: LocalExecutor) -> None:
        await asyncio.gather(*(told(executor, "naps") for _ in range(2)))
        before = descriptors()
        for turns in range(30):
            job = asyncio.create_task(told(executor, "echo", z=turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
        async with asyncio.timeout(10):
            while descriptors() > before + 5 or executor.stats().running:
                await asyncio.sleep(0.01)

    on_a_pool(tmp_path, check)


@pytest.mark.skipif(bool(LACKING), reason=" ".join(LACKING))
def test_versions_that_start_at_once_do_not_end_each_other(tmp_path: Path) -> None:
    """In strict isolation each has a nursery, which has no worker as long as it imports."""

    async def check() -> None:
        confined = Sandbox(read=(), hidden=())
        executor = LocalExecutor(workers=4, limits=LIMITS, environment={}, scratch=tmp_path, sandbox=confined)
        await executor.start()
        try:
            answers = await asyncio.gather(*(told(executor, name) for name in ("naps", "echo", "meddles")))
            assert len(answers) == 3
        finally:
            await executor.close()

    on_a_loop(check)
