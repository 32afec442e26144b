"""One pool for several processes: real ones, on one data directory."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tileserver.errors import BY_CODE, BusyError, InvalidParameterError, TileserverError, UdfRaisedError
from tileserver.execution.channel import refusal, refused

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


def processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
    return found


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_answers_and_errors_arrive_as_they_are(start: Start) -> None:
    """Small ones, thirty megabytes, and every fact of a failure, from either process."""
    holder, other = start(), start()
    assert (holder.first["here"], other.first["here"]) == (True, False)
    told = [peer.run("echo", z=3, x=2) for peer in (holder, other)]
    assert told[0] == told[1]
    assert json.loads(told[1]["text"]) == {"z": 3, "x": 2, "y": 0}
    assert other.run("enormous")["length"] == 30_000_000
    assert other.run("enormous")["end"] == "x"
    for name, error in [("exits", "UdfCrashedError"), ("recurses", "UdfRaisedError")]:
        here, there = (peer.run(name) for peer in (holder, other))
        assert here["error"] == there["error"] == error
        assert set(here["facts"]) == set(there["facts"]) >= {"message", "traceback", "line", "printed", "spent"}
        assert [here["facts"][key] for key in ("message", "printed")] == [
            there["facts"][key] for key in ("message", "printed")
        ]
    assert other.run("exits")["facts"]["printed"] == "leaving\n"


@pytest.mark.parametrize("code", BY_CODE)
def test_every_error_travels(code: str) -> None:
    """Same class, same sentence, same attributes."""
    kind = BY_CODE[code]
    error = kind("it failed", file="f.py", line=3) if code == "not_publishable" else kind("it failed")  # type: ignore[call-arg]
    back = refused(refusal(error))
    assert (type(back), str(back), vars(back)) == (kind, str(error), vars(error))


def test_the_facts_of_an_error_travel() -> None:
    """Also those that only some classes have, and an accident is an error of ours."""
    errors: list[TileserverError] = [
        InvalidParameterError("no number", parameter="size"),
        BusyError(retry_after=7),
        UdfRaisedError("no", traceback="t", line=3, printed="p", exception="E", spent=(1.0, 2.0, 3)),
        TileserverError(),
    ]
    for error in errors:
        back = refused(refusal(error))
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_limits_are_one_for_all(start: Start, tmp_path: Path) -> None:
    """A pool of two runs two at once, though three processes ask for six."""
    peers = [start(), start(), start()]
    go, started = tmp_path / "go", tmp_path / "started"
    asked = [(peer, peer.send(name="waits", started=str(started), go=str(go))) for peer in peers * 2]
    until(lambda: peers[0].stats()["queued"] == 4 and len(lines(started)) == 2)
    until(lambda: peers[2].stats()["queued"] == 4)
    stats = peers[2].stats()
    assert (stats["running"], stats["processes"], stats["here"]) == (2, 3, False)
    go.touch()
    assert [peer.answer(number)["text"] for peer, number in asked] == ['{"waited":true}'] * 6
    assert len(lines(started)) == 6


def test_a_job_that_nobody_waits_for_is_ended(start: Start, tmp_path: Path) -> None:
    """Cancelled, or its process killed: its worker is ended, its slot free."""
    holder, other, doomed = start(), start(), start()
    started = tmp_path / "started"
    number = other.send(name="waits", started=str(started))
    until(lambda: len(lines(started)) == 1)
    doomed.send(name="waits", started=str(started))
    until(lambda: len(lines(started)) == 2)
    other.send(cancel=number)
    assert other.answer(number) == {"cancelled": True}
    doomed.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in lines(started)))
    until(lambda: holder.stats()["running"] == 0)
    assert "text" in other.run("echo")
    until(lambda: holder.stats()["processes"] == 2)


def test_when_the_holder_is_killed_another_takes_over(start: Start, tmp_path: Path) -> None:
    """What ran for the others is run again, once, and answered; who comes later finds the new one."""
    holder, second, third = start(), start(), start()
    go, started = tmp_path / "go", tmp_path / "started"
    asked = [(peer, peer.send(name="waits", started=str(started), go=str(go))) for peer in (second, third)]
    until(lambda: len(lines(started)) == 2)
    holder.kill()
    until(lambda: len(lines(started)) == 4)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in lines(started)[:2]))
    go.touch()
    assert [peer.answer(number)["text"] for peer, number in asked] == ['{"waited":true}'] * 2
    assert sorted(peer.stats()["here"] for peer in (second, third)) == [False, True]
    late = start()
    assert late.first["here"] is False
    assert "text" in late.run("echo")


def test_a_job_that_loses_two_holders_is_busy(start: Start, tmp_path: Path) -> None:
    """It is not run for ever."""
    peers = [start(), start(), start()]
    started = tmp_path / "started"
    asker = peers[2]
    until(lambda: peers[0].stats()["processes"] == 3)
    number = asker.send(name="waits", started=str(started))
    until(lambda: len(lines(started)) == 1)
    asker.process.send_signal(signal.SIGSTOP)  # so that it is not the one that takes over
    peers[0].kill()
    until(lambda: peers[1].stats()["here"])
    asker.process.send_signal(signal.SIGCONT)
    until(lambda: len(lines(started)) == 2)
    peers[1].kill()
    assert asker.answer(number)["error"] == "BusyError"
    assert "text" in asker.run("echo")
    assert asker.stats()["here"] is True


def test_a_holder_that_ends_lets_the_others_jobs_end(start: Start, tmp_path: Path) -> None:
    """They are answered by it, and the next ones by another."""
    holder, other = start(), start()
    go, started = tmp_path / "go", tmp_path / "started"
    number = other.send(name="waits", started=str(started), go=str(go))
    until(lambda: len(lines(started)) == 1)
    assert holder.process.stdin is not None
    holder.process.stdin.close()
    go.touch()
    assert other.answer(number)["text"] == '{"waited":true}'
    assert len(lines(started)) == 1
    assert holder.process.wait(20) == 0
    assert "text" in other.run("echo")


def test_a_folder_with_a_long_name(start: Start, tmp_path: Path) -> None:
    """Longer than the path of a socket may be; and what a dead holder left is replaced."""
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    holder, other = start(folder=folder), start(folder=folder)
    assert other.first["here"] is False
    assert "text" in other.run("echo")
    assert (folder / "pool.sock").stat().st_mode & 0o777 == 0o600
    holder.kill()
    assert "text" in other.run("echo")
    assert "text" in start(folder=folder).run("echo")


def test_another_version_is_refused(start: Start) -> None:
    """In a line that says what to do; the holder goes on."""
    holder = start()
    told = start("--another-version").first["refused"]
    assert "this is 0.0.9; stop it, or use --data-dir" in told
    assert "text" in holder.run("echo")


def test_a_holder_that_stands_still(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """The others say so, answer what waits for it and what comes, and do not wear themselves out; then it goes on."""
    holder, other = start(), start("--hold=2")
    until(lambda: other.stats()["ready"])
    holder.process.send_signal(signal.SIGSTOP)
    asked = other.send(name="echo")  # before anybody can have noticed
    assert other.answer(asked)["sentence"] == "Functions cannot run at the moment."
    assert not other.stats()["ready"]
    spent = cpu_seconds(other.process.pid)
    assert other.run("echo")["sentence"] == "Functions cannot run at the moment."
    assert cpu_seconds(other.process.pid) - spent < 0.5
    assert "stopped or stuck" in capfd.readouterr().err
    holder.process.send_signal(signal.SIGCONT)
    assert "text" in other.run("echo")
    until(lambda: holder.stats()["processes"] == 2)


def test_a_stopped_holder_that_is_killed_is_followed(start: Start) -> None:
    """By whoever has waited for it."""
    holder, other = start(), start()
    holder.process.send_signal(signal.SIGSTOP)
    until(lambda: not other.stats()["ready"])
    asked = other.send(name="echo")
    holder.kill()
    assert "text" in other.answer(asked)
    assert other.stats()["here"]


def test_a_process_that_stood_still_itself(start: Start, tmp_path: Path) -> None:
    """Longer than a holder may be silent: its job goes on, for the holder has told how it stands all the time."""
    _, other = start(), start()
    go, started = tmp_path / "go", tmp_path / "started"
    asked = other.send(name="waits", started=str(started), go=str(go))
    until(lambda: len(lines(started)) == 1)
    other.process.send_signal(signal.SIGSTOP)
    time.sleep(5.5)
    other.process.send_signal(signal.SIGCONT)
    assert other.stats()["ready"]
    go.touch()
    assert other.answer(asked)["text"] == '{"waited":true}'
    assert len(lines(started)) == 1


def test_why_there_is_no_pool_is_not_for_strangers(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They read a sentence of ours; the log has the path."""
    holder, other = start(), start("--hold=0.5")
    (tmp_path / "scratch").rename(tmp_path / "elsewhere")
    holder.kill()
    assert other.run("echo")["sentence"] == "Functions cannot run at the moment."
    assert capfd.readouterr().err.count(f"No such file or directory: '{tmp_path}/scratch'") == 1
    (tmp_path / "scratch").mkdir()
    until(lambda: "text" in other.run("echo"))


def test_rubbish_on_the_socket_harms_nobody(start: Start, tmp_path: Path) -> None:
    """Nor does a connection that says nothing."""
    holder, other = start(), start()
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as loud:
        for each in (silent, loud):
            each.connect(os.fspath(tmp_path / "pool.sock"))
        loud.sendall(b"\xff" * 1000)
        assert loud.recv(1) == b""
        assert "text" in other.run("echo")
        assert "text" in holder.run("echo")
