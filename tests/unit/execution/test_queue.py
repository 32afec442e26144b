"""The queue: who goes first, how many at once, who is turned away; nobody waits beside a free slot."""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import on_a_loop

from tileserver.errors import BusyError, TooManyRequestsError
from tileserver.execution.queue import Queue, Slot
from tileserver.execution.shares import LEAST, Share, Shares, as_weight


def make(capacity: float = 1, **changed: Any) -> Queue:
    return Queue(capacity, **({"limit": 50, "hold": 5.0, "processes": 100, "group_limit": 50} | changed))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def asking(queue: Queue, group: str, share: Share | None = None, **options: Any) -> "asyncio.Task[Slot]":
    """One that waits for a slot, or has it."""
    task = asyncio.ensure_future(queue.enter(group, share or Share(seconds=0.05), **options))
    await settle()
    return task


def test_groups_take_turns_and_the_newest_goes_first() -> None:
    """a, b, a, b; within a group the newest first; a full queue refuses at once."""

    async def check() -> None:
        queue, order = make(limit=5), []  # b has less than its share of it

        async def job(group: str, name: str) -> None:
            slot = await queue.enter(group, Share(seconds=0.05))
            order.append(name)
            slot.leave()

        first = await queue.enter("first", Share(seconds=0.05))
        jobs = []
        for group, name in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2")]:
            jobs.append(asyncio.ensure_future(job(group, name)))
            await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await job("a", "a4")
        first.leave()
        await asyncio.gather(*jobs)
        assert order == ["a3", "b2", "a2", "b1", "a1"]
        assert (queue.running, queue.queued, queue.weight) == (0, 0, 0)

    on_a_loop(check)


def test_turns_are_by_cost() -> None:
    """A group whose jobs take ten times as long gets a tenth of the turns."""

    async def check() -> None:
        queue, order = make(), []

        async def job(group: str, seconds: float) -> None:
            slot = await queue.enter(group, Share(seconds=seconds))
            order.append(group)
            slot.leave()

        first = await queue.enter("first", Share())
        jobs = [asyncio.ensure_future(job("slow", 0.5)) for _ in range(3)]
        jobs += [asyncio.ensure_future(job("fast", 0.05)) for _ in range(20)]
        await settle()
        first.leave()
        await asyncio.gather(*jobs)
        assert 9 <= order.index("slow") <= 11
        assert order[:21].count("slow") == 2

    on_a_loop(check)


def test_the_oldest_of_a_group_is_not_forgotten() -> None:
    """While newer ones come for every slot, every fourth goes to the oldest."""

    async def check() -> None:
        queue = make()
        running = await queue.enter("g", Share())
        oldest = await asking(queue, "g")
        for turn in range(8):
            newer = await asking(queue, "g")
            running.leave()
            await settle()
            if oldest.done():
                assert turn == 3
                return
            running = newer.result()
        raise AssertionError("it starved")

    on_a_loop(check)


def test_nobody_is_held_for_ever() -> None:
    """Who waits too long is told to come again, and leaves nothing behind."""

    async def check() -> None:
        queue = make(hold=0.05)
        slot = await queue.enter("a", Share())
        with pytest.raises(BusyError):
            await queue.enter("b", Share())
        slot.leave()
        assert (queue.running, queue.queued) == (0, 0)

    on_a_loop(check)


def test_a_hopeless_wait_is_refused_on_arrival() -> None:
    """The backlog is known: six seconds of it for one core are more than five. Another group has its own turns."""

    async def check() -> None:
        queue = make(hold=5)
        await queue.enter("a", Share())
        waiting = [await asking(queue, "a", Share(seconds=1.0)) for _ in range(6)]
        with pytest.raises(BusyError) as caught:
            await queue.enter("a", Share())
        assert caught.value.retry_after == 6
        assert not isinstance(caught.value, TooManyRequestsError)
        waiting.append(await asking(queue, "b"))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert queue.retry_after == 1

    on_a_loop(check)


def test_one_group_cannot_fill_the_queue() -> None:
    """Beyond its own limit it is told so, and others are let in."""

    async def check() -> None:
        queue = make(group_limit=2)
        await queue.enter("a", Share())
        waiting = [await asking(queue, "a"), await asking(queue, "a")]
        with pytest.raises(TooManyRequestsError):
            await queue.enter("a", Share())
        waiting.append(await asking(queue, "b"))
        assert queue.queued == 3
        queue.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in results] == [BusyError] * 3

    on_a_loop(check)


def test_jobs_that_wait_for_others_run_many_at_once() -> None:
    """Forty that only wait fit on two cores, of those that compute two."""

    async def check() -> None:
        light, heavy = make(2), make(2)
        waiting = [await asking(light, "g", Share(weight=LEAST)) for _ in range(40)]
        assert light.running == 40
        computing = [await asking(heavy, "g", Share(weight=0.97)) for _ in range(40)]
        assert heavy.running == 2
        for task in (*waiting, *computing):
            task.cancel()

    on_a_loop(check)


def test_a_job_that_turns_out_light_makes_room() -> None:
    """Also for jobs of its own sort that wait already."""

    async def check() -> None:
        queue, share = make(1), Share()
        first = await queue.enter("g", share)
        waiting = [await asking(queue, "g", share) for _ in range(3)]
        assert queue.running == 1
        share.weight = 0.1
        first.weigh(0.1)
        await settle()
        assert all(task.done() for task in waiting)

    on_a_loop(check)


def test_a_paused_job_weighs_nothing_and_goes_on_first() -> None:
    """Others run meanwhile; when it resumes, it waits for room, but not behind those that have not begun."""

    async def check() -> None:
        queue = make(1)
        caller = await queue.enter("g", Share())
        caller.pause()
        child = await queue.enter("g", Share(), hold=5)
        other = await asking(queue, "g")
        resumed = asyncio.ensure_future(caller.resume())
        await settle()
        assert not resumed.done()
        assert not other.done()
        child.leave()
        await settle()
        assert resumed.done()
        assert not other.done()
        caller.leave()
        (await other).leave()
        assert (queue.running, queue.queued, queue.weight) == (0, 0, 0)

    on_a_loop(check)


def test_a_call_beyond_the_process_budget_is_refused() -> None:
    """All who run may wait for calls: another one would wait for ever."""

    async def check() -> None:
        queue = make(8, processes=2)
        for slot in [await queue.enter("g", Share()), await queue.enter("g", Share(), hold=5)]:
            slot.pause()
        with pytest.raises(BusyError):
            await queue.enter("g", Share(), hold=5)

    on_a_loop(check)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.05, 0.3, 1.0, 2.0]), st.integers(0, 5)), max_size=40)
)
def test_whatever_comes_and_goes(steps: list[tuple[str, float, int]]) -> None:
    """Weights add up, nobody waits where there is room, and nothing is left when all have gone."""

    async def check() -> None:
        queue, tasks, running = make(2), [], []
        for group, weight, action in steps:
            tasks.append(await asking(queue, group, Share(weight=weight)))
            running = [task for task in tasks if task.done()]
            if action == 0 and running:
                tasks.remove(running[-1])
                running[-1].result().leave()
            elif action == 1 and len(tasks) > len(running):
                gone = next(task for task in tasks if not task.done())
                tasks.remove(gone)
                gone.cancel()
            await settle()
            running = [task for task in tasks if task.done()]
            assert queue.running == len(running)
            assert queue.queued == len(tasks) - len(running)
            assert queue.weight == pytest.approx(sum(task.result().weight for task in running))
            assert queue.queued == 0 or queue.weight > 1.0 - 1e-6
        while tasks:
            done = next(task for task in tasks if task.done())
            tasks.remove(done)
            done.result().leave()
            await settle()
        assert (queue.running, queue.queued) == (0, 0)
        assert queue.weight == pytest.approx(0)

    on_a_loop(check)


def test_shares_follow_the_runs() -> None:
    """The first run counts whole, later ones move the mean; a little over one core is one core."""
    share = Shares().of("d")
    assert (share.weight, share.known) == (1.0, False)
    share.learn(runnable=0.0, seconds=2.0)
    assert share.weight == pytest.approx(LEAST)
    share.learn(runnable=2.0, seconds=2.0)
    assert share.weight == pytest.approx(LEAST + 0.3 * (1 - LEAST))
    assert [as_weight(share) for share in (0.0, 0.5, 1.1, 1.2, 3.0)] == [
        LEAST,
        0.5,
        1.0,
        1.0,
        min(3.0, os.cpu_count() or 1),
    ]


async def paused_beside(queue: Queue) -> tuple[Slot, Slot]:
    """One that waits for a job of its own, and one that has its core meanwhile."""
    caller = await queue.enter("a", Share())
    caller.pause()
    return caller, await queue.enter("b", Share())


def test_who_leaves_while_it_waits_to_go_on_leaves_nothing() -> None:
    """A job that ends in that moment, by its deadline as it may be, takes no room any more."""

    async def check() -> None:
        queue = make()
        caller, other = await paused_beside(queue)
        resuming = asyncio.ensure_future(caller.resume())
        await settle()
        caller.leave()
        other.leave()
        await asyncio.gather(resuming, return_exceptions=True)
        assert (queue.running, queue.weight) == (0, 0.0)
        (await asyncio.wait_for(queue.enter("c", Share()), 1)).leave()

    on_a_loop(check)


def test_two_may_wait_for_one_job_to_go_on() -> None:
    """As threads do whose calls are answered at once; it weighs once."""

    async def check() -> None:
        queue = make()
        caller, other = await paused_beside(queue)
        resuming = [asyncio.ensure_future(caller.resume()) for _ in range(2)]
        await settle()
        other.leave()
        await asyncio.wait_for(asyncio.gather(*resuming), 1)
        assert (queue.running, queue.weight) == (1, 1.0)
        caller.leave()
        assert (queue.running, queue.weight) == (0, 0.0)

    on_a_loop(check)
