"""Limits that are watched from outside, and those that the kernel keeps: who breaks one is ended or told, by name."""

from pathlib import Path
from typing import Any

import pytest
from pools import on_a_pool, run, source, written

from tileserver.errors import (
    DiskExceededError,
    MemoryExceededError,
    ProcessesExceededError,
    UdfError,
    UdfRaisedError,
)
from tileserver.execution import LocalExecutor
from tileserver.frames import Limits
from tileserver.jobs import Source

NARROW = Limits(memory=300 * 10**6, scratch=5 * 10**6, tasks=30, open_files=300)
SHARES = """
import os, time
@udf
def f():
    for _ in range(3):
        if os.fork() == 0:
            held = b"x" * (150 * 10**6)
            time.sleep(20)
            os._exit(0)
    time.sleep(20)
"""
WRITES = """
import time
from pathlib import Path
@udf
def f():
    for number in range(12):
        Path(f"{number}").write_bytes(bytes(10**6))
    time.sleep(20)
"""


def broken(tmp_path: Path, udf: Source, **arguments: Any) -> UdfError:
    """The error in which a run ends on a pool with narrow limits."""
    caught: list[UdfError] = []

    async def check(executor: LocalExecutor) -> None:
        with pytest.raises(UdfError) as error:
            await run(executor, udf, **arguments)
        caught.append(error.value)

    on_a_pool(tmp_path, check, limits=NARROW)
    return caught[0]


@pytest.mark.parametrize(("name", "arguments"), [("breeds", {"rounds": 6}), ("crowds", {"count": 60})])
def test_who_starts_too_many_is_ended(tmp_path: Path, name: str, arguments: dict[str, int]) -> None:
    """Processes and threads count alike."""
    assert isinstance(broken(tmp_path, source(name), seconds=10, **arguments), ProcessesExceededError)


def test_processes_share_their_workers_memory(tmp_path: Path) -> None:
    """Each has less than it may; together they have more."""
    assert isinstance(broken(tmp_path, written(SHARES)), MemoryExceededError)


def test_who_writes_too_much_is_ended(tmp_path: Path) -> None:
    """Many files together; of a single one the kernel says so at once."""
    assert isinstance(broken(tmp_path, written(WRITES)), DiskExceededError)
    error = broken(tmp_path, source("fills"), size=2 * 10**7, files=1)
    assert isinstance(error, UdfRaisedError)
    assert "File too large" in error.message


def test_who_opens_too_many_files_is_told(tmp_path: Path) -> None:
    """As any program is."""
    error = broken(tmp_path, source("opens"), count=400)
    assert isinstance(error, UdfRaisedError)
    assert "Too many open files" in error.message
