"""More requests than there are processors for: as much is answered as ever, the rest is told when to come again."""

import os
import time
from collections.abc import Iterator

import httpx
import pytest
from load import Answer, Load, percentile
from processes import memory
from publish import UDFS, versions
from server import Running, serving

SECONDS = float(os.environ.get("TILESERVER_OVERLOAD_SECONDS", "20"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(3 * SECONDS) + 180)]
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


def test_overload_is_refused_and_nothing_else_suffers(server: Running) -> None:
    """At five times what can be done four fifths of it are done, hits stay fast, memory flat; soon all is well."""
    base = f"/tiles/{server.token('works')}"
    peak, normal = capacity(server, f"{base}/20/{{n}}/1.png?busy={BUSY}")
    cached = f"{base}/5/1/1.png"
    etag = httpx.get(server.url + cached).headers["etag"]
    with (
        Load(server.url, 60, cached, "/livez", "/metrics") as hits,
        Load(server.url, 20, cached, if_none_match=etag) as known,
    ):
        with hits.during() as idle:
            time.sleep(SECONDS / 2)
        flood = Load(server.url, 5 * peak, f"{base}/20/{{n}}/2.png?busy={BUSY}")
        with flood, hits.during() as meanwhile, known.during() as unchanged, flood.during() as flooded:
            time.sleep(SECONDS / 4)
            early = memory(server.process.pid)
            time.sleep(SECONDS * 3 / 4)
            late = memory(server.process.pid)
            end = time.monotonic()
            flood.stop()
        after = recovered(server, f"{base}/20/{{n}}/3.png?busy={BUSY}", end + 5)
    goodput = done(flooded, end - SECONDS / 2, end) / (SECONDS / 2)
    print(
        f"peak {peak:.1f}/s, at five times {goodput:.1f}/s; {(late - early) / 1e6:.1f} MB; {figures(idle, meanwhile)}"
    )
    print(f"a tile of {BUSY} s: normal p99 {normal:.3f} s, five seconds after {percentile(after, 0.99):.3f} s")
    assert goodput >= 0.8 * peak
    check_refusals([answer for answer in flooded if answer.status != 200])
    assert {answer.status for answer in unchanged} == {304}
    assert {answer.status for answer in meanwhile if answer.kind < 2} == {200}
    assert hit_p99(meanwhile) <= hit_p99(idle) + 0.01
    assert late - early < 10e6
    assert {answer.status for answer in after} == {200}
    assert percentile(after, 0.99) < 2 * normal
    assert {answer.status for answer in meanwhile if answer.kind == 2} == {200}, "/metrics"


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


def figures(idle: list[Answer], busy: list[Answer]) -> str:
    return f"cached tile p99 {hit_p99(idle) * 1000:.1f} ms idle, {hit_p99(busy) * 1000:.1f} ms saturated"


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
        with Load(server.url, 5, f"/tiles/{calm}/20/{{n}}/1.png?rest=0.1") as load:
            with load.during() as alone:
                time.sleep(10)
            with Load(server.url, 400, f"/tiles/{loud}/20/{{n}}/1.png?busy=0.01") as flood, flood.during() as flooded:
                time.sleep(2)
                with load.during() as beside:
                    time.sleep(10)
    statuses = [answer.status for answer in flooded]
    print({status: statuses.count(status) for status in set(statuses)})
    print(f"p99 {percentile(alone, 0.99):.3f} s alone, {percentile(beside, 0.99):.3f} s beside the flood")
    assert {answer.status for answer in alone + beside} == {200}
    assert percentile(beside, 0.99) < 1.5 * percentile(alone, 0.99)
    check_refusals([answer for answer in flooded if answer.status != 200])
    assert 429 in statuses
