"""How long a job waits for the pool before it is told to come again; where that is known on arrival, not at all."""

import asyncio
import time
from pathlib import Path

import pools
import pytest
from pools import on_a_pool

from tileserver.errors import BusyError, TooManyRequestsError
from tileserver.execution import LocalExecutor
from tileserver.jobs import Rendered

HOLD, AT_ONCE = 0.3, 0.05
"""Seconds that a job may wait, and within which one is refused that need not."""
LATE = 2.0
"""Seconds by which a busy machine may be late."""


async def run(executor: LocalExecutor, seconds: float, *, group: str = "g", name: str = "computes") -> Rendered:
    """A run of a function that keeps a core busy."""
    return await pools.run(executor, name, group=group, seconds=seconds)


async def occupied(executor: LocalExecutor) -> "asyncio.Task[Rendered]":
    """A run for a minute, which has the only core."""
    task = asyncio.ensure_future(run(executor, 60))
    while not executor.stats().running:
        await asyncio.sleep(0)
    return task


async def waiting(executor: LocalExecutor, count: int, *, group: str = "g") -> "list[asyncio.Task[Rendered]]":
    """Those of so many that wait behind it; the others were refused as they came."""
    tasks = [asyncio.ensure_future(run(executor, 0, group=group)) for _ in range(count)]
    await asyncio.sleep(0)
    held = [task for task in tasks if not task.done()]
    await asyncio.gather(*(task for task in tasks if task.done()), return_exceptions=True)
    return held


async def refused(executor: LocalExecutor, *, group: str = "g") -> tuple[BusyError, float]:
    """What a job is told, and the seconds until then."""
    began = time.monotonic()
    with pytest.raises(BusyError) as caught:
        await run(executor, 0, group=group)
    return caught.value, time.monotonic() - began


async def end(*tasks: "asyncio.Task[Rendered]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_job_is_held_for_so_long_and_no_longer(tmp_path: Path) -> None:
    """Then it is told when to come again, and has left the queue; the one before it goes on."""

    async def check(executor: LocalExecutor) -> None:
        first = await occupied(executor)
        error, seconds = await refused(executor)
        assert HOLD <= seconds < HOLD + LATE
        assert (error.code, error.retry_after >= 1) == ("busy", True)
        assert (executor.stats().running, executor.stats().queued) == (1, 0)
        assert not first.done()
        await end(first)
        await run(executor, 0)

    on_a_pool(tmp_path, check, workers=1, hold=HOLD)


def test_a_job_whose_turn_comes_while_it_is_held_is_run(tmp_path: Path) -> None:
    """As soon as the one before it has gone."""

    async def check(executor: LocalExecutor) -> None:
        first = await occupied(executor)
        [held] = await waiting(executor, 1)
        await end(first)
        assert (await held).kind == "document"

    on_a_pool(tmp_path, check, workers=1, hold=20)


def test_all_that_are_held_are_told(tmp_path: Path) -> None:
    """Of every group, each with at least a second to wait before it asks again."""

    async def check(executor: LocalExecutor) -> None:
        first = await occupied(executor)
        held = [task for group in "abc" for task in await waiting(executor, 1, group=group)]
        told = await asyncio.gather(*held, return_exceptions=True)
        assert [type(each) for each in told] == [BusyError] * 3
        assert all(isinstance(each, BusyError) and 1 <= each.retry_after <= 30 for each in told)
        assert executor.stats().queued == 0
        await end(first)

    on_a_pool(tmp_path, check, workers=1, hold=HOLD)


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """However long a job might be held."""

    async def check(executor: LocalExecutor) -> None:
        first = await occupied(executor)
        held = await waiting(executor, 3)
        error, seconds = await refused(executor)
        assert (error.code, error.retry_after >= 1) == ("busy", True)
        assert seconds < AT_ONCE
        assert executor.stats().queued == 3
        await end(first, *held)

    on_a_pool(tmp_path, check, workers=1, hold=20, queue_limit=3, token_limit=100)


def test_a_token_beyond_its_limit_is_refused_at_once(tmp_path: Path) -> None:
    """And no other."""

    async def check(executor: LocalExecutor) -> None:
        first = await occupied(executor)
        held = await waiting(executor, 2, group="a")
        error, seconds = await refused(executor, group="a")
        assert isinstance(error, TooManyRequestsError)
        assert error.retry_after >= 1
        assert seconds < AT_ONCE
        [other] = await waiting(executor, 1, group="b")
        held.append(other)
        await end(first, *held)

    on_a_pool(tmp_path, check, workers=1, hold=20, token_limit=2)


def test_a_hopeless_wait_is_refused_at_once(tmp_path: Path) -> None:
    """More is in front of it than can be done while it may be held; what is so far in front may wait all the same."""

    async def check(executor: LocalExecutor) -> None:
        await run(executor, 0.5)  # so long do they take, as far as is known
        first = await occupied(executor)
        held = await waiting(executor, 50)
        assert 1 < len(held) < 20
        error, seconds = await refused(executor)
        assert (error.code, error.retry_after >= 2) == ("busy", True)
        assert seconds < AT_ONCE
        await end(first, *held)

    on_a_pool(tmp_path, check, workers=1, hold=4)
