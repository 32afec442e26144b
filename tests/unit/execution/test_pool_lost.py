"""When the process that holds the pool ends, dies, stands still, or there is none: the others go on, or say why not."""

import os
import signal
import time
from pathlib import Path

import pytest
from peers import Start, lines, until


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


@pytest.mark.slow  # it waits for seconds
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


@pytest.mark.slow
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
