"""The local pool against well- and ill-behaved UDFs: a failure costs only its own job, and nothing is left running."""

import asyncio
import contextlib
import gzip
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tileserver.errors import (
    BusyError,
    MemoryExceededError,
    ResultTooLargeError,
    UdfCrashedError,
    UdfError,
    UdfRaisedError,
    UdfSuspendedError,
    UdfTimedOutError,
)
from tileserver.execution import LocalExecutor
from tileserver.execution.queue import Queue
from tileserver.execution.shares import Share
from tileserver.frames import Limits
from tileserver.jobs import Job, Output, Rendered, Source
from tileserver.signature import parse

UDFS = Path(__file__).parents[2] / "udfs"
LIMITS = Limits(memory=10**9, scratch=10**8)


def source(name: str) -> Source:
    file = UDFS / f"{name}.py"
    udf = parse(file.read_text(), file=str(file))
    return Source(digest=udf.digest, name=name, code=file.read_text(), entry=udf.entry, path=str(file))


async def run(
    executor: LocalExecutor, name: str, *, timeout: float = 20, limit: int = 10**6, **arguments: Any
) -> Rendered:
    udf = source(name)
    job = Job(
        id=1,
        digest=udf.digest,
        tile=None,
        arguments=arguments,
        output=Output(tiled=False),
        timeout=timeout,
        limit=limit,
    )
    return await executor.run(job, udf, group="g")


def on_a_pool(tmp_path: Path, check: Callable[[LocalExecutor], Awaitable[None]]) -> None:
    """Run `check` on a pool of two; afterwards nothing of it may be left."""

    async def main() -> None:
        executor = LocalExecutor(workers=2, limits=LIMITS, environment={"SEEN": "yes"}, scratch=tmp_path)
        await executor.start()
        try:
            await check(executor)
        finally:
            await executor.close()

    asyncio.run(main())
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def processes_in(folder: Path, name: str = "") -> list[int]:
    """Processes whose working directory is in `folder`, with `name` in its path."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            place = str((entry / "cwd").readlink()) if entry.name.isdigit() else ""
            if place.startswith(str(folder)) and name in place:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("exits", UdfCrashedError, "status 3"),
        ("segfaults", UdfCrashedError, "SIGSEGV"),
        ("recurses", UdfRaisedError, "RecursionError"),
        ("devours", MemoryExceededError, "MemoryError"),
        ("enormous", ResultTooLargeError, ""),
        ("closes", UdfCrashedError, ""),
        ("garbles", UdfError, ""),
    ],
)
def test_a_failure_costs_only_its_own_job(tmp_path: Path, name: str, error: type[UdfError], words: str) -> None:
    """The right error with the right words, while others run and afterwards."""

    async def check(executor: LocalExecutor) -> None:
        innocent = asyncio.gather(*(run(executor, "echo", z=number) for number in range(20)))
        with pytest.raises(error) as caught:
            await run(executor, name)
        assert words in caught.value.message
        assert len(await innocent) == 20

    on_a_pool(tmp_path, check)


def test_a_deadline_kills(tmp_path: Path) -> None:
    """A loop that ignores every signal it can is ended, and what it printed is kept."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfTimedOutError) as caught:
            await run(executor, "hangs", timeout=0.5)
        assert "going in circles" in caught.value.printed
        await run(executor, "echo")

    on_a_pool(tmp_path, check)


def test_what_was_printed_before_a_crash_is_kept(tmp_path: Path) -> None:
    """The last 64 kB, also of a process that is gone."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfCrashedError) as caught:
            await run(executor, "exits")
        assert caught.value.printed == "leaving\n"
        flooded = await run(executor, "floods")
        assert len(flooded.printed) == 65536
        assert "000029999" in flooded.printed[-120:]

    on_a_pool(tmp_path, check)


def test_a_large_result_goes_through_a_file(tmp_path: Path) -> None:
    """Thirty megabytes arrive whole."""

    async def check(executor: LocalExecutor) -> None:
        rendered = await run(executor, "enormous", limit=10**8)
        assert len(rendered.body) == 30_000_000
        assert rendered.body[-1:] == b"x"

    on_a_pool(tmp_path, check)


def test_no_daemon_outlives_its_run(tmp_path: Path) -> None:
    """What a function leaves running, in a session of its own, is ended, and its worker with it."""

    async def check(executor: LocalExecutor) -> None:
        await run(executor, "escapes")
        until = time.monotonic() + 10
        while processes_in(tmp_path, "worker-") and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert processes_in(tmp_path, "worker-") == []

    on_a_pool(tmp_path, check)


def test_kills_from_outside_fail_nobody(tmp_path: Path) -> None:
    """A hundred jobs while workers are killed at random: none fails, none is answered with another's result."""

    async def check(executor: LocalExecutor) -> None:
        await run(executor, "echo")
        chance = random.Random(7)

        async def kill() -> None:
            for _ in range(10):
                if pids := processes_in(tmp_path, "worker-"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(pids), signal.SIGKILL)
                await asyncio.sleep(0)

        async def ask(number: int) -> None:
            rendered = await run(executor, "echo", z=number, x=number * 7, y=1)
            body = gzip.decompress(rendered.body) if rendered.coding else rendered.body
            assert json.loads(body) == {"z": number, "x": number * 7, "y": 1}

        jobs = [asyncio.ensure_future(ask(number)) for number in range(100)]
        await jobs[0]
        await kill()
        await asyncio.gather(*jobs)

    on_a_pool(tmp_path, check)


def test_a_function_that_crashes_again_and_again_rests(tmp_path: Path) -> None:
    """Five crashes within a minute, each of another job, suspend that version, and no other."""

    async def check(executor: LocalExecutor) -> None:
        for number in (1, 1, 1, 1, 1, 2, 3, 4, 5):
            with pytest.raises(UdfCrashedError):
                await run(executor, "exits", number=number)
        with pytest.raises(UdfSuspendedError):
            await run(executor, "exits", number=6)
        await run(executor, "echo")

    on_a_pool(tmp_path, check)


def test_a_job_that_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    """A cancelled run frees its slot at once."""

    async def check(executor: LocalExecutor) -> None:
        hanging = [asyncio.ensure_future(run(executor, "hangs")) for _ in range(2)]
        while executor.stats().workers < 2:
            await asyncio.sleep(0.01)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await asyncio.wait_for(run(executor, "echo"), 10)

    on_a_pool(tmp_path, check)


def test_a_worker_sees_nothing_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its environment nor its modules; and no thread is left from the imports."""
    monkeypatch.setenv("SERVER_SECRET", "hidden")

    async def check(executor: LocalExecutor) -> None:
        seen = json.loads(gzip.decompress((await run(executor, "looks")).body))
        assert seen["environment"]["SEEN"] == "yes"
        assert "SERVER_SECRET" not in seen["environment"]
        strange = (
            "starlette",
            "uvicorn",
            "sqlalchemy",
            "tileserver.registry",
            "tileserver.web",
            "tileserver.tilecache",
        )
        assert not [name for name in seen["modules"] if name.startswith(strange)]
        assert seen["threads"] == 1

    on_a_pool(tmp_path, check)


def test_groups_take_turns_and_the_newest_goes_first() -> None:
    """One slot, two groups: a, b, a, b; within a group the newest first; a full queue refuses at once."""

    async def check() -> None:
        queue = Queue(1, limit=5, hold=5, processes=9, group_limit=9)
        order: list[str] = []

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
            await job("c", "c1")
        first.leave()
        await asyncio.gather(*jobs)
        assert order == ["a3", "b2", "a2", "b1", "a1"]
        assert (queue.running, queue.queued) == (0, 0)

    asyncio.run(check())


def test_nobody_is_held_for_ever() -> None:
    """Who waits too long is told to come again, and leaves nothing behind."""

    async def check() -> None:
        queue = Queue(1, limit=5, hold=0.05, processes=9, group_limit=9)
        slot = await queue.enter("a", Share(seconds=0.05))
        with pytest.raises(BusyError):
            await queue.enter("b", Share(seconds=0.05))
        slot.leave()
        assert (queue.running, queue.queued) == (0, 0)

    asyncio.run(check())
