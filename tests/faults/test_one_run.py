"""Two hundred requests for one tile, over four processes of one server: one run, or two where a process is killed."""

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from processes import eventually
from server import UDFS, Running, serving
from stores import needs_redis, redis

from tileserver.tilecache.far_leases import SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
REQUESTS = 200
Waiting = list[Future[httpx.Response | None]]


@pytest.fixture(params=["alone", pytest.param("redis", marks=needs_redis)])
def four(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A server of four processes, which lease runs from each other, and in Redis too."""
    with contextlib.ExitStack() as stack:
        arguments = ["--processes", "4", "--workers", "2"]
        if request.param == "redis":
            arguments += ["--cache", stack.enter_context(redis(tmp_path))[0]]
        running = stack.enter_context(serving(UDFS / "counted.py", data=tmp_path / "data", arguments=tuple(arguments)))
        all_take_clients(running)
        yield running


def all_take_clients(server: Running) -> None:
    """Wait until each process has had one: who comes to a port goes to whichever is first there."""
    with contextlib.ExitStack() as clients:

        def come() -> bool:
            clients.enter_context(httpx.Client()).get(f"{server.url}/livez")
            return len(processes(server)) == 4 and all(connections(server, pid) for pid in processes(server))

        eventually(come, 30)


@contextlib.contextmanager
def asking(server: Running, log: Path, seconds: float) -> Iterator[Waiting]:
    """Requests for a tile that takes so long, each on a connection of its own; None where that is cut."""
    url = f"{server.url}/tiles/{server.token('counted')}/5/1/2.png?log={log}&seconds={seconds}"
    client = httpx.Client(limits=httpx.Limits(max_connections=REQUESTS), timeout=90)

    def ask() -> httpx.Response | None:
        try:
            return client.get(url)
        except httpx.TransportError:
            return None

    with client, ThreadPoolExecutor(REQUESTS) as pool:
        yield [pool.submit(ask) for _ in range(REQUESTS)]


def holder(server: Running) -> int | None:
    """The process that has the lease on this host, of a server that makes one tile."""
    file = (server.data / "cache.leases").stat().st_ino
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return next((int(each[4]) for each in locks if each[1] == "POSIX" and each[5].endswith(f":{file}")), None)


def processes(server: Running) -> list[int]:
    """Those that take connections."""
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def connections(server: Running, pid: int) -> int:
    """How many clients a process has."""
    port, established = f":{int(server.url.rpartition(':')[2]):04X}", "01"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    clients = {f"socket:[{each[9]}]" for each in lines if each[1].endswith(port) and each[3] == established}
    return sum(_target(each) in clients for each in Path(f"/proc/{pid}/fd").iterdir())


def _target(descriptor: Path) -> str:
    """What it is of; nothing if it was closed since it was listed."""
    with contextlib.suppress(FileNotFoundError):
        return str(descriptor.readlink())
    return ""


def bodies(waiting: Waiting) -> list[bytes]:
    """Of all who were answered."""
    answers = [answer for each in waiting if (answer := each.result())]
    assert {each.status_code for each in answers} == {200}
    return [each.content for each in answers]


def runs(log: Path) -> int:
    return log.read_text().count("\n") if log.exists() else 0


def test_a_run_longer_than_a_lease_is_one(four: Running, tmp_path: Path) -> None:
    """By half as much again as two of them take."""
    log = tmp_path / "log"
    with asking(four, log, 2.5 * SECONDS) as waiting:
        assert len(bodies(waiting)) == REQUESTS
    assert runs(log) == 1
    assert len(set(bodies(waiting))) == 1


def test_a_holder_that_is_killed_costs_one_more_run(four: Running, tmp_path: Path) -> None:
    """And its own clients their connections; all others are answered."""
    log = tmp_path / "log"
    with asking(four, log, 3) as waiting:
        eventually(lambda: sum(connections(four, pid) for pid in processes(four)) == REQUESTS and runs(log), 30)
        victim = holder(four)
        assert victim in processes(four)
        lost = connections(four, victim)
        os.kill(victim, signal.SIGKILL)
        assert len(bodies(waiting)) == REQUESTS - lost
    assert 0 < lost < REQUESTS
    assert runs(log) == 2
    assert len(set(bodies(waiting))) == 1
