"""Clients that leave while they wait: what nobody wants any more is not computed."""

import http.client
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from processes import eventually
from publish import UDFS
from server import Running, serving
from test_deploy import nginx

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ASKED, LEAVING, ROUNDS = 50, 35, 4
"""Seventy of a hundred leave."""


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one slot."""
    folder = tmp_path_factory.mktemp("aborts")
    with serving(UDFS / "works.py", data=folder / "data", arguments=("--workers", "1")) as running:
        yield running


@pytest.fixture(params=["directly", "behind a proxy"])
def address(request: pytest.FixtureRequest, single: Running, tmp_path: Path) -> Iterator[str]:
    """Host and port that clients ask."""
    behind = urlsplit(single.url).netloc
    if request.param == "directly":
        yield behind
        return
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with nginx(tmp_path, port, behind):
        yield f"127.0.0.1:{port}"


def test_what_nobody_wants_is_not_computed(single: Running, address: str, tmp_path: Path) -> None:
    """Of seven tenths that leave while queued, on connections that were used before, next to none is computed."""
    log, chance = tmp_path / "log", random.Random(3)
    base = f"/tiles/{single.token('works')}"
    for turn in range(ROUNDS):
        free = tmp_path / str(turn)
        first = ask(address, f"{base}/15/{turn}/0.png?hold={free}&log={log}")
        eventually(lambda turn=turn: f"15/{turn}/0" in runs(log), 30)
        asking = [ask(address, f"{base}/16/{turn}/{y}.png?busy=0.005&log={log}") for y in range(ASKED)]
        eventually(lambda: queued(single) == ASKED, 5)
        chance.shuffle(asking)
        for client in asking[:LEAVING]:
            client.close()
        eventually(lambda: queued(single) == ASKED - LEAVING, 1)
        free.touch()
        for client in [first, *asking[LEAVING:]]:
            assert client.getresponse().status == 200
            client.close()
    wanted, computed = ROUNDS * (ASKED - LEAVING), len(runs(log)) - ROUNDS
    print(f"{wanted} wanted, {computed} computed")
    assert wanted <= computed <= 1.15 * wanted


def ask(address: str, path: str) -> http.client.HTTPConnection:
    """A request without its answer, on a connection that has had one before."""
    client = http.client.HTTPConnection(address, timeout=60)
    client.request("GET", "/livez")
    client.getresponse().read()
    used = client.sock
    client.request("GET", path)
    assert client.sock is used
    return client


def runs(log: Path) -> list[str]:
    """The tiles that were computed."""
    return log.read_text().split() if log.exists() else []


def queued(server: Running) -> int:
    """How many runs wait."""
    return httpx.get(f"{server.url}/readyz").json()["queued"]
