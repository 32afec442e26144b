"""The bar of long work: seen on a terminal, silent elsewhere."""

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


def test_nothing_is_written_where_nobody_looks() -> None:
    """Into a file or a pipe."""
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="another terminal")
def test_a_terminal_shows_how_far_it_is() -> None:
    """On standard error; standard output stays the program's."""
    master, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    ended = subprocess.run(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True
    )
    os.close(terminal)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert ended.stdout == b""
    assert "push" in shown
    assert "2/2" in shown
