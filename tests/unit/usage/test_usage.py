"""Counts of calls: nothing is lost between memory and file, whoever writes."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tileserver.usage import Day, Usage


def counted(path: Path, check: Callable[[Usage], Awaitable[None]]) -> None:
    """Run a check on counts in a file."""

    async def run() -> None:
        usage = Usage(path)
        try:
            await check(usage)
        finally:
            await usage.close()

    asyncio.run(run())


async def add(usage: Usage, times: int = 1, token: str = "t") -> None:
    for _ in range(times):
        usage.count("a", "u", token, ms=0.5)


def totals(days: list[Day]) -> list[tuple[str, int, float]]:
    return [(day.token_id, day.calls, day.ms) for day in days]


def test_counts_are_kept_by_token(tmp_path: Path) -> None:
    async def check(usage: Usage) -> None:
        await add(usage, 3)
        await add(usage, 2, "")
        assert totals(await usage.of("a", 1)) == [("", 2, 1.0), ("t", 3, 1.5)]
        assert await usage.of("b", 1) == []

    counted(tmp_path / "usage.sqlite", check)
    counted(tmp_path / "usage.sqlite", check_again)


async def check_again(usage: Usage) -> None:
    """Another process adds to what is there."""
    await add(usage)
    assert totals(await usage.of("a", 1)) == [("", 2, 1.0), ("t", 4, 2.0)]


@pytest.mark.slow  # it waits for seconds
def test_what_cannot_be_written_now_is_written_later(tmp_path: Path) -> None:
    """Meanwhile more comes, and each counts once."""
    path = tmp_path / "usage.sqlite"

    async def check(usage: Usage) -> None:
        await add(usage, 2)
        await usage.of("a", 1)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await add(usage, 3)
        waiting = asyncio.create_task(usage.of("a", 1))
        await asyncio.sleep(0)
        await add(usage, 4)
        await waiting
        other.execute("COMMIT")
        other.close()
        assert totals(await usage.of("a", 1)) == [("t", 9, 4.5)]

    counted(path, check)


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    path.write_bytes(b"no database" * 1000)

    async def check(usage: Usage) -> None:
        await add(usage)
        assert totals(await usage.of("a", 1)) == [("t", 1, 0.5)]

    counted(path, check)
    assert path.with_name("usage.sqlite.damaged").exists()
