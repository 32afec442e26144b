"""One run per key on a host: real processes, of which some are killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tileserver.tilecache.keys import Key
from tileserver.tilecache.leases import Leases

KEY, OTHER = Key("a", 5, 1, 2), Key("a", 5, 1, 3)
HOLD = """
import asyncio, sys
from pathlib import Path
from tileserver.tilecache.keys import Key
from tileserver.tilecache.leases import Leases

async def hold():
    async with Leases(Path(sys.argv[1])).held(Key("a", 5, 1, 2), 5) as waited:
        print("waited" if waited else "ready", flush=True)
        sys.stdin.read()

asyncio.run(hold())
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the lease of a key, until nobody writes to it any more."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "leases")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


async def _held(leases: Leases, key: Key, seconds: float) -> tuple[bool, float]:
    """Whether it waited, and how long."""
    began = time.monotonic()
    async with leases.held(key, seconds) as waited:
        return waited, time.monotonic() - began


def test_others_wait_until_it_is_given_back(tmp_path: Path, holder) -> None:
    """Only for that key, and only so long as they want to."""
    leases = Leases(tmp_path / "leases")

    async def check() -> None:
        assert (await _held(leases, OTHER, 5))[0] is False
        waited, took = await _held(leases, KEY, 0.2)
        assert waited
        assert 0.15 < took < 5
        waiting = asyncio.create_task(_held(leases, KEY, 30))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        holder.stdin.close()
        waited, took = await waiting
        assert waited
        assert took < 20
        assert (await _held(leases, KEY, 5))[0] is False

    asyncio.run(check())
    leases.close()


def test_who_is_killed_holds_nothing(tmp_path: Path, holder) -> None:
    """The system lets go at once."""
    leases = Leases(tmp_path / "leases")

    async def check() -> None:
        waiting = asyncio.create_task(_held(leases, KEY, 30))
        await asyncio.sleep(0.05)
        holder.kill()
        waited, took = await waiting
        assert waited
        assert took < 10

    asyncio.run(check())
    leases.close()


def test_one_who_goes_lets_go(tmp_path: Path) -> None:
    """Cancelled while it has it, or while it waits."""
    one = Leases(tmp_path / "leases")

    async def check() -> None:
        began = asyncio.Event()

        async def work() -> None:
            async with one.held(KEY, 5):
                began.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(check())
    command = [sys.executable, "-c", HOLD, str(tmp_path / "leases")]
    held = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30, check=True)
    assert held.stdout == b"ready\n"
    one.close()


def test_where_nothing_can_be_locked_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems, or where the folder is gone."""

    def refuse(*_: Any) -> None:
        raise OSError(37, "no locks")

    monkeypatch.setattr("fcntl.lockf", refuse)
    leases = Leases(tmp_path / "leases")
    assert asyncio.run(_held(leases, KEY, 5))[0] is False
    leases.close()
    (tmp_path / "file").touch()
    assert asyncio.run(_held(Leases(tmp_path / "file" / "leases"), KEY, 5))[0] is False
