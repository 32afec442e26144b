"""What functions print: standard output and standard error apart, both in one as they came, and of each the end."""

from pathlib import Path

import pytest
from pools import on_a_pool, run, written

from tileserver.errors import UdfRaisedError
from tileserver.execution import LocalExecutor
from tileserver.execution.printed import LIMIT

BOTH = """
import subprocess, sys
def to(stream, text):
    if stream == "child":
        subprocess.run(["sh", "-c", f"echo {text} >&2"])
    else:
        print(text, file=getattr(sys, stream))
@udf
def f(first: str, second: str, fail: bool = False):
    to(first, "one")
    to(second, "two")
    assert not fail
    return 1
"""
FLOOD = """
import sys
@udf
def f(stream: str):
    print("here", file=sys.stdout)
    print("there", file=sys.stderr)
    for _ in range(200):
        print("x" * 10_000, file=getattr(sys, stream))
    return 1
"""


@pytest.mark.parametrize(
    ("first", "second", "stdout", "stderr"),
    [
        ("stdout", "stderr", "one\n", "two\n"),
        ("stderr", "stdout", "two\n", "one\n"),
        ("stdout", "stdout", "one\ntwo\n", ""),
        ("child", "stdout", "two\n", "one\n"),
    ],
)
def test_each_stream_has_its_own(tmp_path: Path, first: str, second: str, stdout: str, stderr: str) -> None:
    """Also what a child writes; both together are in order, and the next run begins with nothing."""

    async def check(executor: LocalExecutor) -> None:
        for _ in range(2):
            rendered = await run(executor, written(BOTH), first=first, second=second)
            assert rendered.printed == ("one\ntwo\n", stdout, stderr)
        with pytest.raises(UdfRaisedError) as caught:
            await run(executor, written(BOTH), first=first, second=second, fail=True)
        assert (caught.value.printed, caught.value.streams) == ("one\ntwo\n", (stdout, stderr))

    on_a_pool(tmp_path, check)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_leaves_the_other_stream(tmp_path: Path, stream: str) -> None:
    """Two megabytes through the one, of which the end is kept; the few words in the other are all there."""

    async def check(executor: LocalExecutor) -> None:
        text, stdout, stderr = (await run(executor, written(FLOOD), stream=stream)).printed
        flooded, other = (stdout, stderr) if stream == "stdout" else (stderr, stdout)
        assert len(text) == len(flooded) == LIMIT
        assert set(flooded) == {"x", "\n"}
        assert other == ("there\n" if stream == "stdout" else "here\n")

    on_a_pool(tmp_path, check)
