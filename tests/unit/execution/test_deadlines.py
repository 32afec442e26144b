"""Futures that are ended in time."""

import asyncio
import time

import pytest
from pools import on_a_loop

from tileserver.execution.deadlines import Deadlines

TICK = 0.02


def test_each_ends_at_its_own_time() -> None:
    """Whatever the order in which they came, and not before."""

    async def check() -> None:
        deadlines, loop, began = Deadlines(TICK), asyncio.get_running_loop(), time.monotonic()
        ended: list[tuple[float, float]] = []

        async def waits(seconds: float) -> None:
            future = loop.create_future()
            deadlines.add(future, seconds)
            with pytest.raises(TimeoutError):
                await future
            ended.append((seconds, time.monotonic() - began))

        await asyncio.gather(*map(waits, (0.1, 0.001, 0.05, 0.2)))
        assert [seconds for seconds, _ in ended] == [0.001, 0.05, 0.1, 0.2]
        assert all(at >= seconds for seconds, at in ended)

    on_a_loop(check)


def test_what_is_done_stays_done() -> None:
    """A result and a cancellation."""

    async def check() -> None:
        deadlines, loop = Deadlines(TICK), asyncio.get_running_loop()
        answered, cancelled, late = (loop.create_future() for _ in range(3))
        for future in (answered, cancelled, late):
            deadlines.add(future, 0.001)
        answered.set_result("answer")
        cancelled.cancel()
        with pytest.raises(TimeoutError):
            await late
        assert answered.result() == "answer"
        assert cancelled.cancelled()

    on_a_loop(check)


def test_one_that_comes_later_is_seen() -> None:
    """Also when all before it are over, and the timer has stopped."""

    async def check() -> None:
        deadlines, loop = Deadlines(TICK), asyncio.get_running_loop()
        for _ in range(2):
            future = loop.create_future()
            deadlines.add(future, 0.01)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(future, 5)
            await asyncio.wait_for(idle(deadlines), 5)

    on_a_loop(check)


async def idle(deadlines: Deadlines) -> None:
    while deadlines.busy:
        await asyncio.sleep(0)
