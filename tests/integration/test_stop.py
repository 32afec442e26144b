"""`serve` stops cleanly whenever it is asked to: nothing runs on, nothing is left behind, no traceback."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from server import UDFS, Running, serving

HANGS = """
import os, signal, time
from tileserver import udf
@udf
def hangs(log: str = "", loud: bool = False):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    if log:
        open(log, "w").close()
    while True:
        time.sleep(0.1)
"""


def processes_in(folder: Path) -> list[int]:
    """Processes that have `folder` as or below their working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def check_nothing_is_left(folder: Path, lines: list[str]) -> None:
    assert processes_in(folder) == []
    assert list((folder / "data" / "scratch").glob("*")) == []
    assert not [line for line in lines if "Traceback" in line or "Error" in line], lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_tiles_are_rendered(tmp_path: Path, number: signal.Signals) -> None:
    """Those that take no longer than the grace are finished; the others are told that the server goes."""
    with serving(
        UDFS / "counted.py", data=tmp_path / "data", arguments=("--workers", "2", "--drain", "2.5")
    ) as running:
        base = f"{running.url}/tiles/{running.token('counted')}/5"
        answers: dict[float, int] = {}

        def get(seconds: float) -> None:
            log = tmp_path / str(seconds)
            answers[seconds] = httpx.get(
                f"{base}/1/{int(seconds)}.png?log={log}&seconds={seconds}", timeout=30
            ).status_code

        threads = [threading.Thread(target=get, args=(seconds,)) for seconds in (1.0, 20.0)]
        for thread in threads:
            thread.start()
        wait_for(tmp_path / "1.0", tmp_path / "20.0")
        running.process.send_signal(number)
        assert running.process.wait(20) == 0
        for thread in threads:
            thread.join(20)
        assert answers == {1.0: 200, 20.0: 503}
        running.wait_for("<end>")
        check_nothing_is_left(tmp_path, running.lines)


def test_sigterm_drains(tmp_path: Path) -> None:
    """A tile that takes longer than Ctrl-C would wait is finished; a new connection is refused meanwhile."""
    with serving(UDFS / "counted.py", data=tmp_path / "data") as running:
        log, told = tmp_path / "log", []
        url = f"{running.url}/tiles/{running.token('counted')}/5/1/2.png?log={log}&seconds=5"
        thread = threading.Thread(target=lambda: told.append(httpx.get(url, timeout=30).status_code))
        thread.start()
        wait_for(log)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        thread.join(20)
        assert told == [200]


def wait_for(*files: Path) -> None:
    until = time.monotonic() + 20
    while not all(file.exists() for file in files):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_while_a_function_hangs(tmp_path: Path) -> None:
    """In its probe as well as in a request: asked twice, at once."""
    (tmp_path / "hangs.py").write_text(HANGS)
    log = tmp_path / "log"
    with serving(tmp_path / "hangs.py", data=tmp_path / "data") as running:
        url = f"{running.url}/files/{running.token('hangs')}.json?log={log}"
        told: list[int | None] = []

        def get() -> None:
            try:
                told.append(httpx.get(url, timeout=30).status_code)
            except httpx.TransportError:
                told.append(None)

        thread = threading.Thread(target=get)
        thread.start()
        wait_for(log)
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        thread.join(20)
        assert told in ([None], [503], [500])
        running.wait_for("<end>")
        check_nothing_is_left(tmp_path, running.lines)


def test_a_killed_server_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL: what it started ends by itself, and so do daemons of functions."""
    (tmp_path / "hangs.py").write_text(HANGS)
    log = tmp_path / "log"
    with serving(tmp_path / "hangs.py", data=tmp_path / "data") as running:
        thread = threading.Thread(target=get_and_forget, args=(running, log))
        thread.start()
        wait_for(log)
        running.process.kill()
        running.process.wait()
        thread.join(20)
        until = time.monotonic() + 10
        while processes_in(tmp_path) and time.monotonic() < until:
            time.sleep(0.05)
        assert processes_in(tmp_path) == []


def get_and_forget(running: Running, log: Path) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{running.url}/files/{running.token('hangs')}.json?log={log}", timeout=30)


@pytest.mark.parametrize(
    ("sign", "number"),
    [
        ("master.key", signal.SIGINT),
        pytest.param("registry.sqlite", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("registry.generation", signal.SIGINT, marks=pytest.mark.slow),
        ("credentials.json", signal.SIGTERM),
    ],
)
def test_while_it_starts(tmp_path: Path, sign: str, number: signal.Signals) -> None:
    """At any moment of the start, known by what is in the data directory."""
    command = (sys.executable, "-m", "tileserver", "serve", str(UDFS), "--port", "0", "--data-dir", "data")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}
    with subprocess.Popen(command, cwd=tmp_path, env=kept, stdout=-1, stderr=-1, text=True) as process:
        until = time.monotonic() + 30
        while not (tmp_path / "data" / sign).exists() and time.monotonic() < until:
            time.sleep(0.001)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert process.returncode in (0, 130, -number), error
    check_nothing_is_left(tmp_path, error.splitlines())
