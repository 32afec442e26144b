"""Caps: never exceeded by one process, hardly by several, and not forgotten by a restart."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tileserver.caps import DAY_SECONDS, Cap, caps_of, reached
from tileserver.errors import TooManyRequestsError
from tileserver.usage import Usage

TOKEN, ACCOUNT = Cap("a", "t", 3), Cap("a", None, 5)


def used(check: Callable[..., Awaitable[None]], path: Path, count: int = 1) -> None:
    """Run a check on so many counts of one file, as processes have them."""

    async def run() -> None:
        usages = [Usage(path) for _ in range(count)]
        try:
            await check(*usages)
        finally:
            for usage in usages:
                await usage.close()

    asyncio.run(run())


async def call(
    usage: Usage, *caps: Cap, token: str = "t", counts: bool = True, until: asyncio.Event | None = None
) -> bool:
    """Whether a call is let in; where it `counts` it is answered, once `until` has come."""
    try:
        async with usage.admitted(caps):
            if until is not None:
                await until.wait()
            if counts:
                usage.count(caps[0].account_id if caps else "a", "u", token)
    except TooManyRequestsError:
        return False
    return True


async def calls(usage: Usage, times: int, *caps: Cap, token: str = "t") -> int:
    """How many of so many at once are let in."""
    return sum(await asyncio.gather(*(call(usage, *caps, token=token) for _ in range(times))))


def look_again(usage: Usage) -> None:
    """Have it read the file at the next call, as if a second had gone by."""
    for meter in usage._meters.values():
        meter.read_at = float("-inf")


def test_a_token_and_its_account_have_caps_of_their_own(tmp_path: Path) -> None:
    """What is answered through one token leaves the less for the account's others; another account has its own."""

    async def check(usage: Usage) -> None:
        assert await calls(usage, 10, TOKEN, ACCOUNT) == 3
        assert await calls(usage, 10, ACCOUNT, token="") == 2
        assert await calls(usage, 10, Cap("b", None, 1)) == 1
        assert await calls(usage, 10) == 10

    used(check, tmp_path / "usage.sqlite")


def test_what_was_no_call_takes_nothing(tmp_path: Path) -> None:
    """As one whose parameters were wrong; while it is looked at it holds its place."""

    async def check(usage: Usage) -> None:
        until = asyncio.Event()
        waiting = [asyncio.create_task(call(usage, TOKEN, counts=False, until=until)) for _ in range(3)]
        gone = asyncio.create_task(call(usage, Cap("a", None, 4), until=asyncio.Event()))
        async with asyncio.timeout(5):
            while sum(meter.pending for meter in usage._meters.values()) < 4:
                await asyncio.sleep(0)
        assert not await call(usage, TOKEN)
        until.set()
        gone.cancel()
        assert all(await asyncio.gather(*waiting))
        assert await asyncio.gather(gone, return_exceptions=True)
        assert await calls(usage, 10, TOKEN, Cap("a", None, 4)) == 3

    used(check, tmp_path / "usage.sqlite")


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Nor does a cap that comes later, whether what came before is written or not."""

    async def before(usage: Usage) -> None:
        await calls(usage, 2)

    async def after(usage: Usage) -> None:
        assert await calls(usage, 10, TOKEN) == 1

    async def later(usage: Usage) -> None:
        await calls(usage, 4, token="late")
        await usage.of("a", 1)
        await calls(usage, 4, token="late")
        assert await calls(usage, 10, Cap("a", "late", 10), token="late") == 2

    for check in (before, after, later):
        used(check, tmp_path / "usage.sqlite")


def test_processes_learn_of_each_other(tmp_path: Path) -> None:
    """What one has written the next knows at its next look, and neither counts its own twice."""

    async def check(one: Usage, other: Usage) -> None:
        cap = Cap("a", None, 10)
        assert await calls(one, 4, cap) == 4
        assert await calls(other, 4, cap) == 4
        for each in (one, other, one, other):
            await each.of("a", 1)  # writes
            look_again(each)
        assert await calls(one, 10, cap) == 2
        await one.of("a", 1)
        look_again(other)
        assert not await call(other, cap)

    used(check, tmp_path / "usage.sqlite", 2)


class Walk:
    """A process with a cap on a token, and what should be known of it."""

    def __init__(self, path: Path, cap: Cap) -> None:
        self.path, self.cap, self.usage = path, cap, Usage(path)
        self.answered = 0
        self.waiting: list[tuple[asyncio.Event, asyncio.Task[bool]]] = []

    @property
    def room(self) -> bool:
        return self.answered + len(self.waiting) < self.cap.calls_per_day

    async def answer(self) -> None:
        let_in = self.room
        assert await call(self.usage, self.cap) == let_in
        self.answered += let_in

    async def refuse(self) -> None:
        assert await call(self.usage, self.cap, counts=False) == self.room

    async def begin(self) -> None:
        until = asyncio.Event()
        task, let_in = asyncio.create_task(call(self.usage, self.cap, until=until)), self.room
        async with asyncio.timeout(5):
            while not task.done() and sum(each.pending for each in self.usage._meters.values()) <= len(self.waiting):
                await asyncio.sleep(0)
        assert task.done() != let_in
        self.waiting += [(until, task)] if let_in else []

    async def end(self) -> None:
        if self.waiting:
            until, task = self.waiting.pop()
            until.set()
            self.answered += await task

    async def give_up(self) -> None:
        if self.waiting:
            _, task = self.waiting.pop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def write(self) -> None:
        await self.usage.of("a", 1)

    async def look(self) -> None:
        look_again(self.usage)

    async def count_without_a_cap(self) -> None:
        self.usage.count("a", "v", "t")
        self.answered += 1

    async def restart(self) -> None:
        while self.waiting:
            await self.end()
        await self.usage.close()
        self.usage = Usage(self.path)


STEPS = ("answer", "refuse", "begin", "end", "give_up", "write", "look", "count_without_a_cap", "restart")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=40), st.integers(1, 8))
def test_one_process_never_answers_more(steps: list[str], most: int) -> None:
    """In any order of calls, of writing and of reading: exactly as many as the cap says, and not one less."""

    async def walk(path: Path) -> None:
        there = Walk(path, Cap("a", "t", most))
        for step in steps:
            await getattr(there, step)()
        await there.restart()
        assert sum(day.calls for day in await there.usage.of("a", 1)) == there.answered
        await there.usage.close()

    with TemporaryDirectory() as folder:
        asyncio.run(walk(Path(folder) / "usage.sqlite"))


def test_trouble_with_the_file_fails_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What this process knows of still counts."""
    (tmp_path / "file").touch()

    async def check(usage: Usage) -> None:
        assert await calls(usage, 10, TOKEN) == 3

    used(check, tmp_path / "file" / "usage.sqlite")
    assert "the count of calls cannot be used" in caplog.text


def test_what_is_said_at_a_cap() -> None:
    """Whose it is, and the seconds until midnight in UTC."""
    of_token, of_account = caps_of("a", 5, "t", 3)
    assert (of_token, of_account) == (Cap("a", "t", 3), Cap("a", None, 5))
    assert caps_of("a", None, "t", None) == ()
    midnight = 20_000 * DAY_SECONDS
    error = reached(of_token, midnight - 90)
    assert "This token" in str(error)
    assert 90 <= error.retry_after <= 91
    assert "The account" in str(reached(of_account, time.time()))
    assert reached(of_account, midnight).retry_after >= DAY_SECONDS
