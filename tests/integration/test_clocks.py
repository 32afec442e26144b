"""Clocks that jump by an hour: what is past its age or from the future is made anew, and nothing is an error."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server import UDFS, Running, serving
from stores import needs_redis, redis

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")]
HOUR = 3600
Server = Callable[[str], Running]
"""The server at a clock's offset, such as +1h."""


def shifted(folder: Path, *arguments: str, **clock: str) -> contextlib.AbstractContextManager[Running]:
    """A server whose time of day is off, as libfaketime is told; how long something takes it measures rightly."""
    faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return serving(UDFS / "placed.py", data=folder / "data", arguments=arguments, **faked, **clock)


@contextlib.contextmanager
def jumping(folder: Path) -> Iterator[Server]:
    """One whose clock jumps while it runs; it has everything in memory."""
    clock = folder / "clock"
    clock.write_text("+0")
    by_file = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    with shifted(folder, "--cache-disk", "0", **by_file) as running:

        def at(offset: str) -> Running:
            clock.write_text(offset)
            return running

        yield at


@contextlib.contextmanager
def restarting(folder: Path) -> Iterator[Server]:
    """One that is started anew at each time; it has what is on disk."""
    with contextlib.ExitStack() as last:

        def at(offset: str) -> Running:
            last.close()
            return last.enter_context(shifted(folder, FAKETIME=offset))

        yield at


@contextlib.contextmanager
def sharing(folder: Path) -> Iterator[Server]:
    """Two, each with its own time, that have nothing but what is in Redis."""
    servers: dict[str, Running] = {}
    with redis(folder) as (address, _), contextlib.ExitStack() as stack:
        arguments = ("--cache", address, "--cache-memory", "0", "--cache-disk", "0")

        def at(offset: str) -> Running:
            if offset not in servers:
                servers[offset] = stack.enter_context(shifted(folder, *arguments, FAKETIME=offset))
                uses_redis(servers[offset])
            return servers[offset]

        yield at


def tiles(server: Running) -> str:
    """Where its own are, of two on a data directory."""
    return server.wait_for(r"(http://\S+/tiles/fsh_\S+)/map$")[1]


def uses_redis(server: Running) -> None:
    """Wait until it does: its first operation, which connects, may take too long."""
    while "detail=redis" not in httpx.get(f"{tiles(server)}/0/0/0.png").headers["cache-status"]:
        pass


class Asked:
    """Answers to a tile, each checked for what must be true of it at any time."""

    def __init__(self, log: Path, seconds: int) -> None:
        self._log, self._seconds = log, seconds
        self._times = itertools.count()
        self._body = b""

    def __call__(self, server: Running) -> tuple[bool, int]:
        """Whether a run was taken, and Age."""
        before, query = self._runs(), {"log": str(self._log), "cache_max_age": self._seconds, "n": next(self._times)}
        answer = httpx.get(f"{tiles(server)}/9/1/1.png", params=query)
        self._body = self._body or answer.content
        assert (answer.status_code, answer.content) == (200, self._body)
        status = dict(each.partition("=")[::2] for each in answer.headers["cache-status"].split("; "))
        age, ran = int(answer.headers["age"]), self._runs() > before
        assert ran == (status["detail"] == "run")
        assert 0 <= age < self._seconds
        assert 0 < int(status["ttl"]) <= self._seconds - age
        return ran, age

    def _runs(self) -> int:
        return self._log.read_text().count("\n") if self._log.exists() else 0


@pytest.mark.parametrize(
    ("jump", "within_half", "within_two"),
    [("+1h", (True, True, True), (True, False, False)), ("-1h", (True, True, True), (True, True, False))],
)
@pytest.mark.parametrize("way", [jumping, restarting, pytest.param(sharing, marks=needs_redis)])
def test_a_clock_that_jumps_costs_runs_only(
    tmp_path: Path,
    way: Callable[[Path], contextlib.AbstractContextManager[Server]],
    jump: str,
    within_half: tuple[bool, ...],
    within_two: tuple[bool, ...],
) -> None:
    """There and back: which of three looks take a run, of an answer that is fresh for half an hour, and of two."""
    brief, long = (Asked(tmp_path / f"log{seconds}", seconds) for seconds in (HOUR // 2, 2 * HOUR))
    with way(tmp_path) as server:
        seen = [(brief(at), long(at)) for at in map(server, ("+0", jump, "+0"))]
    assert tuple(ran for (ran, _), _ in seen) == within_half
    assert tuple(ran for _, (ran, _) in seen) == within_two
    ages = [age for _, (ran, age) in seen if not ran]
    assert any(HOUR <= age < HOUR + 60 for age in ages)
