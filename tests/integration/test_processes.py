"""`serve --processes 3`, and two servers on one data directory: one port, one pool, and nothing lost with a process."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server import UDFS, Running, serving

THREE = ("--processes", "3", "--workers", "2")


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait for what nobody announces."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Process ids, oldest first."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holder_among(pids: list[int]) -> int | None:
    """The process that has the nursery."""
    return next((pid for pid in pids if children(pid)), None)


def processes_in(folder: Path) -> list[int]:
    """Processes that have `folder` as or below their working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
    return found


def ready(running: Running, processes: int = 3) -> bool:
    """Whether whichever process answers sees so many on a pool that runs."""
    told = httpx.get(f"{running.url}/readyz").json()
    return bool(told["status"] == "ok" and told["processes"] == processes)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Running]:
    """A server of three processes over the test UDFs, of which no process is left afterwards."""
    with serving(UDFS / "counted.py", data=tmp_path / "data", arguments=THREE) as running:
        until(lambda: ready(running))
        yield running
    until(lambda: processes_in(tmp_path) == [])


def refuses(url: str) -> bool:
    """Whether a server takes no more connections."""
    try:
        httpx.get(f"{url}/livez")
    except httpx.TransportError:
        return True
    return False


def tile(running: Running, x: int, **query: object) -> int:
    """The status of a tile, asked over a connection of its own."""
    url = f"{running.url}/tiles/{running.token('counted')}/5/{x}/0.png"
    return httpx.get(url, params={"log": os.devnull, **query}, timeout=30).status_code


def test_all_answer_on_one_port(three: Running) -> None:
    """The report is printed once; every process answers and says where the pool is."""
    told = set()

    def asked() -> bool:
        told.add(httpx.get(f"{three.url}/readyz").json()["pool"])
        return told == {"here", "elsewhere"}

    until(asked)
    assert [tile(three, x) for x in range(12)] == [200] * 12
    assert len([line for line in three.lines if line == "ready"]) == 1
    assert not [line for line in three.lines if "warning" in line]
    assert len(children(three.process.pid)) == 3


@pytest.mark.parametrize("role", ["holder", "other"])
def test_a_process_that_is_killed_is_replaced(three: Running, role: str) -> None:
    """Who asks at that moment over the others is answered; so is everybody afterwards."""
    before = children(three.process.pid)
    holder = holder_among(before)
    assert holder is not None
    victim = holder if role == "holder" else next(pid for pid in before if pid != holder)
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        x = 0
        while not stop.is_set():
            x += 1
            with contextlib.suppress(httpx.TransportError):  # what the killed one had accepted
                statuses.append(tile(three, x % 32, color=x))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(statuses) > 3)
    printed = len(three.lines)
    os.kill(victim, signal.SIGKILL)
    three.wait_for(
        rf"^warning: server process {victim}\b.* was ended by SIGKILL; another takes its place", start=printed
    )
    until(lambda: len(children(three.process.pid)) == 3 and ready(three))
    count = len(statuses)
    until(lambda: len(statuses) > count + 3)
    stop.set()
    asking.join(30)
    assert set(statuses) == {200}
    assert len([line for line in three.lines if line == "ready"]) == 1


@pytest.mark.slow
def test_edits_are_followed_after_the_publisher_was_killed(tmp_path: Path) -> None:
    """By its replacement, which says nothing but what it publishes."""
    file = tmp_path / "f.py"
    file.write_text("from tileserver import udf\n@udf\ndef f() -> dict:\n    return {'v': 1}\n")
    with serving(file, data=tmp_path / "data", arguments=("--reload", *THREE)) as running:
        until(lambda: ready(running))
        url = f"{running.url}/files/{running.token('f')}"
        os.kill(children(running.process.pid)[0], signal.SIGKILL)
        running.wait_for("which publishes the files, was ended by SIGKILL")
        until(lambda: len(children(running.process.pid)) == 3 and ready(running))
        printed = len(running.lines)
        file.write_text("from tileserver import udf\n@udf\ndef f() -> dict:\n    return {'v': 2}\n")
        until(lambda: httpx.get(url).json() == {"v": 2})
        running.wait_for("^  f ", start=printed)
        assert len([line for line in running.lines if line.startswith("  f ")]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_lets_tiles_end(three: Running, tmp_path: Path, number: signal.Signals) -> None:
    """Status 0; those that take no longer than the grace are answered, whoever holds the pool; nothing is printed."""
    statuses: list[int] = []
    logs = [tmp_path / str(x) for x in range(2)]
    asking = [
        threading.Thread(target=lambda x=x: statuses.append(tile(three, x, seconds=1, log=logs[x]))) for x in range(2)
    ]
    for each in asking:
        each.start()
    until(lambda: all(log.exists() for log in logs))
    printed = len(three.lines)
    three.process.send_signal(number)
    assert three.process.wait(20) == 0
    for each in asking:
        each.join(20)
    assert statuses == [200, 200]
    three.wait_for("<end>")
    assert three.lines[printed:] == ["<end>"]


def test_a_second_signal_ends_at_once(three: Running, tmp_path: Path) -> None:
    """Though a function runs."""
    log = tmp_path / "log"

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            tile(three, 1, seconds=25, log=log)

    asking = threading.Thread(target=ask)
    asking.start()
    until(log.exists)
    three.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    time.sleep(0.2)  # two signals at once are one
    three.process.send_signal(signal.SIGINT)
    assert three.process.wait(20) == 0
    assert time.monotonic() - began < 3
    asking.join(20)


def test_when_the_supervisor_is_killed_nothing_is_left(three: Running, tmp_path: Path) -> None:
    """SIGKILL: its children go with it, and all that they started; the port is free."""
    url = three.url
    three.process.kill()
    three.process.wait()
    until(lambda: processes_in(tmp_path) == [])
    with pytest.raises(httpx.TransportError):
        httpx.get(url)


def test_what_prevents_a_start_is_said_once(tmp_path: Path) -> None:
    """One line and status 1, as of a single process."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "registry.sqlite").write_bytes(b"no database " * 1000)
    command = [sys.executable, "-m", "tileserver", "serve", "--port", "0", "--data-dir", "data", *THREE]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}
    told = subprocess.run(
        command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=50, check=False
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("tileserver: the registry ")
    assert told.stderr.count("\n") == 1


@pytest.mark.slow
def test_two_servers_share_a_pool(tmp_path: Path) -> None:
    """Each with a port of its own, in a folder of a long name; when the first is killed the second runs functions."""
    data = tmp_path / ("d" * 100) / "data"
    data.parent.mkdir()
    with (
        serving(UDFS / "counted.py", data=data) as first,
        contextlib.nullcontext(first.url) as url,
        serving(UDFS / "counted.py", data=data) as second,
    ):
        until(lambda: ready(second, 2))
        assert httpx.get(f"{url}/readyz").json()["pool"] == "here"
        assert httpx.get(f"{second.url}/readyz").json()["pool"] == "elsewhere"
        assert tile(second, 1) == 200
        left = [each.name for each in (data / "scratch").iterdir()]
        first.process.kill()
        assert tile(second, 2) == 200
        until(lambda: httpx.get(f"{second.url}/readyz").json()["pool"] == "here")
        until(lambda: not any((data / "scratch" / name).exists() for name in left))


@pytest.mark.slow
def test_a_holder_drains_the_others_jobs(tmp_path: Path) -> None:
    """Longer than Ctrl-C would wait; what is new is answered meanwhile, and afterwards by the next holder."""
    log, told = tmp_path / "log", []
    with (
        serving(UDFS / "counted.py", data=tmp_path / "data") as first,
        contextlib.nullcontext(first.url) as url,
        serving(UDFS / "counted.py", data=tmp_path / "data") as second,
    ):
        asking = threading.Thread(target=lambda: told.append(tile(second, 1, seconds=6, log=log)))
        asking.start()
        until(log.exists)
        first.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(url))
        assert tile(second, 2) == 200
        assert told == []
        assert first.process.wait(20) == 0
        asking.join(20)
        assert told == [200]
        assert log.read_text().count("\n") == 1
        assert tile(second, 3) == 200


@pytest.mark.slow  # it waits for seconds
def test_a_second_signal_cuts_the_others_jobs(tmp_path: Path) -> None:
    """Though `--drain` is not over; the next holder runs them again."""
    log, told = tmp_path / "log", []
    with (
        serving(UDFS / "counted.py", data=tmp_path / "data") as first,
        contextlib.nullcontext(first.url) as url,
        serving(UDFS / "counted.py", data=tmp_path / "data") as second,
    ):
        asking = threading.Thread(target=lambda: told.append(tile(second, 1, seconds=8, log=log)))
        asking.start()
        until(log.exists)
        first.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(url))
        first.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert first.process.wait(20) == 0
        assert time.monotonic() - began < 3
        asking.join(30)
        assert told == [200]
        assert log.read_text().count("\n") == 2


def test_functions_call_functions_wherever_the_pool_is(tmp_path: Path) -> None:
    """A function that another process asked for has its calls answered where it runs, and after that has gone."""
    chain = Path(__file__).parent / "calls" / "chain.py"
    with serving(chain, data=tmp_path / "data") as first, serving(chain, data=tmp_path / "data") as second:

        def called(depth: int) -> object:
            url = f"{second.url}/files/{second.token('chain')}.json"
            return httpx.get(url, params={"depth": depth}, timeout=30).json()

        assert called(3) == [3, 2, 1, 0]
        first.process.kill()
        assert called(2) == [2, 1, 0]
