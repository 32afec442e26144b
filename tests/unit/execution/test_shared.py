"""One pool for several processes: real ones, on one data directory."""

import json
import os
import socket
from pathlib import Path

import pytest
from peers import Start, lines, until

from tileserver.errors import BY_CODE, BusyError, InvalidParameterError, TileserverError, UdfRaisedError
from tileserver.refusals import refusal, refused


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
        UdfRaisedError("no", traceback="t", line=3, printed="p", streams=("p", ""), exception="E", spent=(1.0, 2.0, 3)),
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
