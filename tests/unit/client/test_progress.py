"""The bar of long work: seen on a terminal; lines now and then elsewhere."""

import os
import pty
import subprocess
import sys

import pytest

CODE = """
from tileserver.client.progress import counting
with counting("push", 2) as done:
    done()
    done()
"""


WAITS = "from tileserver.client.progress import waiting\nwith waiting('running [a]'): print('b')"


@pytest.mark.parametrize("code", [CODE, WAITS])
def test_nothing_is_written_where_nobody_looks(code: str) -> None:
    """Into a file or a pipe."""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout.removeprefix("b\n"), ended.stderr) == ("", "")


def test_long_work_says_lines_where_nobody_looks() -> None:
    """On standard error, how much of it is done."""
    code = CODE.replace('"push", 2', '"push", 1200, every=0.0')
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = ended.stderr.splitlines()
    assert first.startswith("push: 1 of 1,200, ")
    assert second.startswith("push: 2 of 1,200, ")


@pytest.mark.skipif(sys.platform != "linux", reason="another terminal")
@pytest.mark.parametrize(("code", "parts"), [(CODE, ("push", "2/2")), (WAITS, ("running [a]", "0:00:00"))])
def test_a_terminal_shows_how_far_it_is(code: str, parts: tuple[str, str]) -> None:
    """On standard error; standard output stays the program's."""
    master, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True
    )
    os.close(terminal)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert ended.stdout.removeprefix(b"b\n") == b""
    for part in parts:
        assert part in shown
