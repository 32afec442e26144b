"""The local pool against well- and ill-behaved UDFs: a failure costs only its own job, and nothing is left running."""

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from pools import on_a_pool, processes_in, run, told, written

from tileserver.errors import (
    MemoryExceededError,
    ResultTooLargeError,
    UdfCrashedError,
    UdfError,
    UdfRaisedError,
    UdfSuspendedError,
    UdfTimedOutError,
)
from tileserver.execution import LocalExecutor
from tileserver.jobs import Source
from tileserver.udfs import digest


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("exits", UdfCrashedError, "status 3"),
        ("segfaults", UdfCrashedError, "SIGSEGV"),
        ("recurses", UdfRaisedError, "RecursionError"),
        ("devours", MemoryExceededError, "MemoryError|took more memory than it may"),  # or the watch was sooner
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
        assert re.search(words, caught.value.message)
        assert len(await innocent) == 20

    on_a_pool(tmp_path, check)


def test_files_stay_what_they_are(tmp_path: Path) -> None:
    """PROJ closes by number what it had open before the worker was forked: that must be its own still."""

    async def check(executor: LocalExecutor) -> None:
        said = await told(executor, "projects")
        assert said["kept"]
        assert said["apart"] < 1e-6

    on_a_pool(tmp_path, check)


def test_a_deadline_kills(tmp_path: Path) -> None:
    """A loop that ignores every signal it can is ended, and what it printed is kept."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfTimedOutError) as caught:
            await run(executor, "hangs", timeout=0.5)
        assert "going in circles" in caught.value.printed
        await nothing_runs(tmp_path)
        await run(executor, "echo")

    on_a_pool(tmp_path, check)


async def nothing_runs(folder: Path, *, beside: int = 0) -> None:
    """Wait for the end of every worker and what it started, beside so many."""
    until = time.monotonic() + 10
    while len(processes_in(folder, "worker-")) > beside:
        assert time.monotonic() < until, "a worker goes on"
        await asyncio.sleep(0.01)


def test_what_was_printed_before_a_crash_is_kept(tmp_path: Path) -> None:
    """The last 64 kB, also of a process that is gone."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfCrashedError) as caught:
            await run(executor, "exits")
        assert caught.value.printed == "leaving\n"
        flooded = await run(executor, "floods")
        assert len(flooded.printed.text) == 65536
        assert "000029999" in flooded.printed.text[-120:]

    on_a_pool(tmp_path, check)


def test_a_large_result_goes_through_a_file(tmp_path: Path) -> None:
    """Thirty megabytes arrive whole."""

    async def check(executor: LocalExecutor) -> None:
        rendered = await run(executor, "enormous", limit=10**8)
        assert len(rendered.body) == 30_000_000
        assert rendered.body[-1:] == b"x"

    on_a_pool(tmp_path, check)


@pytest.mark.parametrize("disowns", [False, True])
def test_no_daemon_outlives_its_run(tmp_path: Path, *, disowns: bool) -> None:
    """What a function leaves running, in a session of its own, is ended; also where its worker adopts no orphans."""

    async def check(executor: LocalExecutor) -> None:
        await run(executor, "escapes", disowns=disowns)
        await nothing_runs(tmp_path, beside=int(disowns))  # that worker is as it was, and kept

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


@pytest.mark.parametrize("name", ["moves", "ignores", "meddles"])
def test_what_a_run_changes_is_undone(tmp_path: Path, name: str) -> None:
    """The next run finds everything as the first did, in the same worker."""

    async def check(executor: LocalExecutor) -> None:
        seen = [(await run(executor, name, run=number)).body for number in range(4)]
        assert seen == seen[:1] * 4

    on_a_pool(tmp_path, check)


def test_what_failed_to_load_is_loaded_again(tmp_path: Path) -> None:
    """What was away for a moment, a store as it may be, fails no later job."""
    store = tmp_path / "store"
    code = f"from tileserver import udf\nFOUND = open({str(store)!r}, 'rb').read()\n@udf\ndef f():\n    return FOUND\n"
    udf = Source(digest=digest(code, {}), name="f", code=code, entry="f", path="f.py")

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfRaisedError) as caught:
            await run(executor, udf)
        assert "No such file" in caught.value.message
        store.write_text("there")
        assert (await run(executor, udf)).body == b"there"
        store.unlink()

    on_a_pool(tmp_path, check)


def test_a_crash_is_the_functions_own(tmp_path: Path) -> None:
    """It is not run once more; a run may have changed something outside."""

    async def check(executor: LocalExecutor) -> None:
        notes = tmp_path / "notes"
        with pytest.raises(UdfCrashedError):
            await run(executor, "exits", notes=str(notes))
        assert notes.read_text() == "left\n"
        notes.unlink()

    on_a_pool(tmp_path, check)


def test_a_function_that_crashes_again_and_again_rests(tmp_path: Path) -> None:
    """Five crashes within a minute, each of another job, suspend that version, and no other."""

    async def check(executor: LocalExecutor) -> None:
        for number in (1, 1, 1, 1, 1, 2, 3, 4, 5):
            with pytest.raises(UdfCrashedError):
                await run(executor, "exits", run=number)
        with pytest.raises(UdfSuspendedError):
            await run(executor, "exits", run=6)
        await run(executor, "echo")

    on_a_pool(tmp_path, check)


def test_a_job_that_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    """A cancelled run frees its slot at once, and its worker ends."""

    async def check(executor: LocalExecutor) -> None:
        hanging = [asyncio.ensure_future(run(executor, "hangs")) for _ in range(2)]
        while executor.stats().workers < 2:
            await asyncio.sleep(0.01)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await nothing_runs(tmp_path)
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


@pytest.mark.parametrize(
    ("name", "arguments"), [("closes", {}), ("closes", {"seconds": 5}), ("garbles", {}), ("segfaults", {})]
)
def test_what_ends_its_own_worker_runs_once(tmp_path: Path, name: str, arguments: dict[str, int]) -> None:
    """Also where it is we who end the process, for what the function did to its channel."""

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfCrashedError):
            await run(executor, name, **arguments)
        assert executor.stats().deaths == 1

    on_a_pool(tmp_path, check)


def test_an_exception_that_says_too_much_is_cut(tmp_path: Path) -> None:
    """Its beginning is told; the worker is none the worse for it."""

    async def check(executor: LocalExecutor) -> None:
        for _ in range(2):
            with pytest.raises(UdfRaisedError) as caught:
                await run(executor, "rants")
            assert caught.value.message.startswith("ValueError: xxx")
            assert len(caught.value.message) <= len(caught.value.traceback) <= 64_000
        assert executor.stats().deaths == 0

    on_a_pool(tmp_path, check)


def test_a_description_survives_a_kill(tmp_path: Path) -> None:
    """The process that tells what the source does not is killed from outside while it loads: another one tells."""
    scratch, gate = tmp_path / "scratch", tmp_path / "gate"
    scratch.mkdir()
    udf = written(
        f"""
import time
from pathlib import Path
while not Path({str(gate)!r}).exists():
    time.sleep(0.01)
@udf(maxzoom=3 + 4)
def f():
    return 1
"""
    )

    async def check(executor: LocalExecutor) -> None:
        told = asyncio.create_task(executor.describe(udf, ("maxzoom",), ()))
        while not (pids := processes_in(scratch, "worker-")):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # until it has been told to load
        os.kill(pids[0], signal.SIGKILL)
        gate.touch()
        assert (await told).options == {"maxzoom": 7}
        assert executor.stats().deaths == 1

    on_a_pool(scratch, check)
