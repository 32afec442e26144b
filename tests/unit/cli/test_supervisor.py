"""The supervisor over children that do nothing: what they find, and what it does when they end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "supervised.py"


@contextlib.contextmanager
def supervised(what: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(PROGRAM), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def test_children_start_as_processes_of_their_own() -> None:
    """With the usual handlers, nothing blocked, out of reach of the terminal; only one is the first."""
    with supervised("wait") as process:
        first, second = json.loads(line(process)), json.loads(line(process))
        assert [first[key] for key in ("first", "follows")] == [True, True]
        assert [second[key] for key in ("first", "follows")] == [False, False]
        for each in (first, second):
            assert [each[key] for key in ("usual", "blocked", "own session", "threads")] == [[True] * 3, 0, True, 1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert line(process) == ""


def test_who_is_killed_is_replaced_in_its_part() -> None:
    """The first's replacement follows edits, and does not begin anew."""
    with supervised("wait") as process:
        first, second = json.loads(line(process)), json.loads(line(process))
        for old, what, follows in [(first, ", which publishes the files,", True), (second, "", False)]:
            os.kill(old["pid"], signal.SIGKILL)
            told = f"warning: server process {old['pid']}{what} was ended by SIGKILL; another takes its place now"
            assert line(process) == told
            new = json.loads(line(process))
            assert (new["first"], new["follows"]) == (False, follows)


def test_who_dies_again_and_again_is_replaced_later_each_time() -> None:
    """At once, then in 1, 2 seconds; a stop does not wait for it."""
    with supervised("exit") as process:
        line(process)
        told = [line(process).partition("exited with status 4; another takes its place ")[2] for _ in range(3)]
        assert told == ["now", "in 1 s", "in 2 s"]
        process.send_signal(signal.SIGINT)
        assert process.wait(1.5) == 0


def test_a_first_child_that_cannot_start_ends_all() -> None:
    """With its status, and without a word beside its own."""
    with supervised("refuse") as process:
        assert process.wait(10) == 3
        assert line(process) == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_children_start(number: signal.Signals) -> None:
    """At whatever moment, it ends all of them."""
    for _ in range(5):
        with supervised("wait") as process:
            line(process)
            process.send_signal(number)
            assert process.wait(10) == 0
