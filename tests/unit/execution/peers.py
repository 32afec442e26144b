"""Real processes on one data directory, and a fixture that starts them."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pools import processes_in

PEER = Path(__file__).parent / "peer.py"


class Peer:
    """A process on a data directory."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, str(PEER), str(folder), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self._line()
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline() or "{}"))

    def send(self, **request: Any) -> int:
        """The number under which `answer` has what comes of it."""
        assert self.process.stdin is not None
        self._number += 1
        self.process.stdin.write(json.dumps({"number": self._number} | request) + "\n")
        self.process.stdin.flush()
        return self._number

    def answer(self, number: int) -> dict[str, Any]:
        """What came of a request; waits for it."""
        while number not in self._answers:
            line = self._line()
            assert line, "the process ended"
            self._answers[line.pop("answer")] = line
        return self._answers[number]

    def run(self, name: str, **arguments: Any) -> dict[str, Any]:
        """What a UDF answers."""
        return self.answer(self.send(name=name, **arguments))

    def stats(self) -> dict[str, Any]:
        """How it sees the pool."""
        return self.answer(self.send(stats=True))

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Let it close."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stdout.close()


Start = Callable[..., Peer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a process; afterwards nothing of any may be left."""
    peers = []

    def start_(*arguments: str, folder: Path = tmp_path) -> Peer:
        peers.append(Peer(folder, *arguments))
        return peers[-1]

    yield start_
    for peer in reversed(peers):  # the holder last: nobody need take over
        peer.end()
    until(lambda: processes_in(tmp_path) == [])


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what nobody announces."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
