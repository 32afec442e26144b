"""More requests than there are processors for: as much is answered as ever, the rest is told when to come again."""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from load import Answer, Load, percentile
from processes import memory
from publish import UDFS, versions
from server import Running, serving

ATTEMPTS = 3
"""How often a flood is tried, since its figures also tell of what else a machine does."""
SECONDS = float(os.environ.get("TILESERVER_OVERLOAD_SECONDS", "20"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(ATTEMPTS * int(3 * SECONDS + 60))]
CORES = os.cpu_count() or 1
BUSY = 0.05
"""Seconds of a processor that a tile takes: so long that client and server take little of what is shared."""
HOLD = 10.0
"""Seconds that a request is held at most before it is refused."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a worker per processor."""
    folder = tmp_path_factory.mktemp("overload")
    with serving(UDFS / "works.py", data=folder / "data", arguments=("--workers", str(CORES))) as running:
        yield running


class Overload(NamedTuple):
    """What was seen of one flood."""

    peak: float
    """Tiles per second when a little more is asked than can be done."""
    goodput: float
    """Tiles per second when five times as much is asked."""
    normal: float
    """Seconds of p99 when little is asked, before."""
    after: list[Answer]
    """The same, from five seconds after the flood on."""
    idle: list[Answer]
    """Of a cached tile, `/livez` and `/metrics` before the flood."""
    hits: list[Answer]
    """The same meanwhile."""
    unchanged: list[Answer]
    """Of a cached tile that the client has."""
    refused: list[Answer]
    growth: int
    """Bytes of the server's memory."""

    @property
    def in_time(self) -> bool:
        """Whether what a busy machine spoils is as it shall be."""
        is_done, is_fast = self.goodput >= 0.8 * self.peak, hit_p99(self.hits) <= hit_p99(self.idle) + 0.01
        return is_done and is_fast and percentile(self.after, 0.99) < 2 * self.normal

    def __str__(self) -> str:
        idle, busy, after = (
            1000 * each for each in (hit_p99(self.idle), hit_p99(self.hits), percentile(self.after, 0.99))
        )
        return (
            f"peak {self.peak:.1f}/s, at five times {self.goodput:.1f}/s, {len(self.refused)} refused; cached tile p99 "
            f"{idle:.1f} ms idle, {busy:.1f} ms saturated; a tile of {BUSY} s p99 {self.normal * 1000:.0f} ms before, "
            f"{after:.0f} ms five seconds after; memory {self.growth / 1e6:+.1f} MB"
        )


def test_overload_is_refused_and_nothing_else_suffers(server: Running) -> None:
    """At five times what can be done four fifths of it are done, hits stay fast, memory flat; soon all is well."""
    for attempt in range(ATTEMPTS):
        seen = flooded(server, attempt)
        print(seen)
        check_refusals(seen.refused)
        assert {answer.status for answer in seen.unchanged} == {304}
        assert {answer.status for answer in seen.hits if answer.kind < 2} == {200}
        assert {answer.status for answer in seen.after} == {200}
        assert seen.growth < 10e6
        if seen.in_time:
            break
    assert seen.in_time, str(seen)
    assert {answer.status for answer in seen.hits if answer.kind == 2} == {200}, "/metrics"


def flooded(server: Running, attempt: int) -> Overload:
    """A flood, with what is before, beside and after it."""
    base = f"/tiles/{server.token('works')}"
    tiles = [f"{base}/20/{{n}}/{4 * attempt + number}.png?busy={BUSY}" for number in range(4)]
    cached = f"{base}/5/1/1.png"
    etag = httpx.get(server.url + cached, timeout=60).headers["etag"]
    peak, normal = capacity(server, tiles[0])
    with (
        Load(server.url, 60, cached, "/livez", "/metrics") as hits,
        Load(server.url, 20, cached, if_none_match=etag) as known,
    ):
        with hits.during() as idle:
            time.sleep(SECONDS / 2)
        flood = Load(server.url, 5 * peak, tiles[1])
        with flood, hits.during() as meanwhile, known.during() as unchanged, flood.during() as answers:
            time.sleep(SECONDS / 4)
            early = memory(server.process.pid)
            time.sleep(SECONDS * 3 / 4)
            growth = memory(server.process.pid) - early
            end = time.monotonic()
            flood.stop()
        after = recovered(server, tiles[2], end + 5)
    goodput = done(answers, end - SECONDS / 2, end) / (SECONDS / 2)
    refused = [answer for answer in answers if answer.status != 200]
    return Overload(peak, goodput, normal, after, idle, meanwhile, unchanged, refused, growth)


def capacity(server: Running, path: str) -> tuple[float, float]:
    """Tiles per second with a little more asked than can be done; and the p99 of one with half as many."""
    rate = CORES / BUSY
    with Load(server.url, 1.25 * rate, path, first=0) as load:
        time.sleep(1)
        with load.during() as answers:
            time.sleep(6)
            end = time.monotonic()
    with Load(server.url, rate / 4, path, first=10_000) as load, load.during() as normal:
        time.sleep(6)
    return done(answers, end - 5, end) / 5, percentile(normal, 0.99)


def recovered(server: Running, path: str, start: float) -> list[Answer]:
    """What is answered from `start` on, with little asked."""
    time.sleep(max(start - time.monotonic(), 0))
    with Load(server.url, CORES / BUSY / 4, path) as load, load.during() as answers:
        time.sleep(6)
    return answers


def done(answers: list[Answer], start: float, end: float) -> int:
    """How many tiles arrived within this time."""
    return sum(answer.status == 200 and start <= answer.sent + answer.seconds < end for answer in answers)


def hit_p99(answers: list[Answer]) -> float:
    return percentile([answer for answer in answers if answer.kind == 0], 0.99)


def check_refusals(refused: list[Answer]) -> None:
    """Each says when to come again, at once or after a bounded time."""
    assert refused
    assert {answer.status for answer in refused} <= {429, 503}
    assert all(int(answer.retry_after) > 0 for answer in refused)
    assert max(answer.seconds for answer in refused) < HOLD + 1


def test_a_flood_by_one_token_is_its_own_trouble(server: Running) -> None:
    """Who asks through another token waits at most half as long again, without an error; the flood meets its limit.

    The flood's functions are short and the other's long, so that it is fairness that is measured, and not how long one
    that has begun holds its place.
    """
    with versions(server, "works", 2) as [loud, calm]:
        for token in (loud, calm):
            httpx.get(f"{server.url}/tiles/{token}/3/1/1.png", timeout=60).raise_for_status()
        for attempt in range(ATTEMPTS):
            alone, beside, loudly = beside_a_flood(server, loud, calm, attempt)
            statuses = [answer.status for answer in loudly]
            print({status: statuses.count(status) for status in set(statuses)})
            print(f"p99 {percentile(alone, 0.99):.3f} s alone, {percentile(beside, 0.99):.3f} s beside the flood")
            assert {answer.status for answer in alone + beside} == {200}
            check_refusals([answer for answer in loudly if answer.status != 200])
            assert 429 in statuses
            if percentile(beside, 0.99) < 1.5 * percentile(alone, 0.99):
                break
    assert percentile(beside, 0.99) < 1.5 * percentile(alone, 0.99)


def beside_a_flood(
    server: Running, loud: str, calm: str, attempt: int
) -> tuple[list[Answer], list[Answer], list[Answer]]:
    """What the calm token was answered before a flood through the loud one, and meanwhile; and what that was."""
    with Load(server.url, 5, f"/tiles/{calm}/20/{{n}}/{2 * attempt}.png?rest=0.1") as load:
        with load.during() as alone:
            time.sleep(10)
        flood = Load(server.url, 400, f"/tiles/{loud}/20/{{n}}/{2 * attempt}.png?busy=0.01")
        with flood, flood.during() as loudly:
            time.sleep(2)
            with load.during() as beside:
                time.sleep(10)
    return alone, beside, loudly
