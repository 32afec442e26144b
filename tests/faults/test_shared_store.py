"""A Redis that is full, flushed, killed, stalled or holds something else, under load: right tiles, and no error."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from load import Answer, Load, percentile
from processes import eventually
from redis import Redis
from server import UDFS, Running, serving
from stores import needs_redis, redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), needs_redis]
RATE, WARM, COLUMNS = 100, 9, 251
"""Requests a second; nine of ten are for tiles that Redis has, one is for a new one; values that tiles have."""
WAITED = 20
"""Requests that may wait for a store that is gone: those of its last 20 ms, and all that one moment brings together."""


@dataclass
class Served:
    """A server that has nothing but what is in Redis."""

    running: Running
    load: Load
    folder: Path
    address: str
    process: "subprocess.Popen[bytes]"
    expected: list[str]
    """Digests by the value that a tile has."""

    def source(self, column: int = 0) -> str:
        """Where a tile that was asked for all the time comes from; asked again where the load's look was shared."""
        while (source := self._told(column)) == "shared":
            pass
        return source

    def _told(self, column: int) -> str:
        answer = httpx.get(f"{self.running.url}{tile(self.running, column)}")
        return str(answer.headers["cache-status"].rpartition("detail=")[2])

    def waited(self) -> int:
        """Operations that failed or took too long."""
        with self.running.owner() as owner:
            return int(owner.get("/api/v1/cache").json()["store_failures"])

    def check(self, answers: list[Answer]) -> None:
        """None is an error, and each is the tile that was asked for."""
        assert {answer.status for answer in answers} == {200}
        columns = [answer.number % COLUMNS if answer.kind == WARM else answer.kind for answer in answers]
        assert [answer.digest for answer in answers] == [self.expected[each] for each in columns]
        print(f"{len(answers)} answers, p50/p99/max", *(f"{percentile(answers, p) * 1000:.1f}" for p in (0.5, 0.99, 1)))


def tile(running: Running, column: int | str, zoom: int = 9) -> str:
    return f"/tiles/{running.token('placed')}/{zoom}/{column}/0.png"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """While it is asked for tiles, of which Redis has most."""
    with redis(tmp_path) as (address, process):
        arguments = ("--cache", address, "--cache-memory", "0", "--cache-disk", "0")
        with serving(UDFS / "placed.py", data=tmp_path / "data", arguments=arguments) as running:
            with httpx.Client(base_url=running.url) as client:
                bodies = [client.get(tile(running, column)).content for column in range(COLUMNS)]
            expected = [hashlib.sha256(body).hexdigest()[:16] for body in bodies]
            assert len(set(expected)) == COLUMNS
            paths = [tile(running, column) for column in range(WARM)] + [tile(running, "{n}", zoom=20)]
            with Load(running.url, RATE, *paths) as load:
                served = Served(running, load, tmp_path, address, process, expected)
                eventually(lambda: all(served.source(column) == "redis" for column in range(WARM)), 30)
                yield served


def test_a_redis_that_is_full(served: Served) -> None:
    """New tiles are made and not kept there; it is read meanwhile."""
    before = served.waited()
    with served.load.during() as answers, Redis.from_url(served.address) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        eventually(lambda: served.waited() > before + WAITED, 30)
        assert {served.source(column) for column in range(WARM)} == {"redis"}
        client.config_set("maxmemory", 0)
    served.check(answers)


def test_something_else_under_the_names_of_tiles(served: Served) -> None:
    """It is replaced at the next request for each."""
    with served.load.during() as answers, Redis.from_url(served.address) as client:
        names = list(client.scan_iter("t:*"))
        for name in names:
            client.delete(name)
            client.lpush(name, "one", "two")
        eventually(lambda: all(served.source(column) == "redis" for column in range(WARM)), 30)
    served.check(answers)


def test_a_redis_that_is_flushed_again_and_again(served: Served) -> None:
    """Each time tiles are made anew, and found again."""
    with served.load.during() as answers, Redis.from_url(served.address) as client:
        for _ in range(20):
            client.flushall()
            eventually(lambda: served.source() == "redis", 30)
    served.check(answers)


def test_a_redis_that_is_killed(served: Served) -> None:
    """Few notice; another in its place is used as soon as it is asked again."""
    before = served.waited()
    with served.load.during() as answers:
        served.process.kill()
        eventually(lambda: served.waited() > before, 30)
        with redis(served.folder):
            eventually(lambda: served.source() == "redis", 30)
    served.check(answers)
    assert served.waited() - before <= WAITED < len(answers) / 10


def test_a_redis_that_stalls(served: Served) -> None:
    """For two seconds: who was on the way waits, nobody after them; then it is used again."""
    before = served.waited()
    with served.load.during() as answers:
        os.kill(served.process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(served.process.pid, signal.SIGCONT)
        eventually(lambda: served.source() == "redis", 30)
    served.check(answers)
    assert 0 < served.waited() - before <= WAITED < len(answers) / 10
