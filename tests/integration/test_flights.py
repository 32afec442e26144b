"""Requests that meet: one run for many, a bounded queue, nothing for who has gone, and two servers on one directory."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from server import UDFS, Running, serving

COUNTED = UDFS / "counted.py"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one worker."""
    with serving(COUNTED, data=tmp_path_factory.mktemp("single") / "data", arguments=("--workers", "1")) as running:
        yield running


def runs(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def get_all(server: Running, urls: list[str]) -> list[httpx.Response]:
    """All at once, each on a connection of its own."""
    begin = threading.Barrier(len(urls))

    def get(url: str) -> httpx.Response:
        begin.wait()
        return httpx.get(server.url + url, timeout=60)

    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(get, urls))


def test_fifty_requests_for_a_cold_tile_are_one_run(single: Running, tmp_path: Path) -> None:
    """Counted by the function itself; everybody gets the same bytes."""
    log = tmp_path / "log"
    url = f"/tiles/{single.token('counted')}/5/1/2.png?log={log}&seconds=0.5"
    answers = get_all(single, [url] * 50)
    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
    assert runs(log) == ["5/1/2"]
    assert sum("detail=run" in each.headers["cache-status"] for each in answers) == 1


def test_two_hundred_requests_of_four_processes_are_one_run(tmp_path: Path) -> None:
    """Of a tile that takes longer than they come in, also where it fails; what a killed process costs,
    tests/faults/test_one_run.py says."""
    log = tmp_path / "log"
    with serving(COUNTED, data=tmp_path / "data", arguments=("--processes", "4", "--workers", "2")) as four:
        base = f"/tiles/{four.token('counted')}/5"
        answers = get_all(four, [f"{base}/1/2.png?log={log}&seconds=1"] * 200)
        assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
        assert runs(log) == ["5/1/2"]
        sources = [each.headers["cache-status"].rpartition("detail=")[2] for each in answers]
        assert sources.count("run") == 1
        assert set(sources) <= {"run", "shared", "disk", "memory"}
        failed = [f"{base}/1/3.png?log={log}&seconds=0.5&fail=true"]
        answers = get_all(four, failed * 80) + get_all(four, failed) + get_all(four, failed)
        assert {(each.status_code, each.content) for each in answers} == {(422, answers[0].content)}
        assert runs(log) == ["5/1/2", "5/1/3"]


def test_a_failure_is_remembered_for_seconds(single: Running, tmp_path: Path) -> None:
    """Many who ask again cost one run; later it is tried again."""
    log = tmp_path / "log"
    url = f"/tiles/{single.token('counted')}/5/1/3.png?log={log}&fail=true"
    assert {each.status_code for each in get_all(single, [url] * 20)} == {422}
    assert runs(log) == ["5/1/3"]
    until = time.monotonic() + 20
    while len(runs(log)) < 2 and time.monotonic() < until:
        assert httpx.get(single.url + url).status_code == 422
    assert len(runs(log)) == 2


def test_a_full_queue_refuses(single: Running, tmp_path: Path) -> None:
    """503 with Retry-After and `no-store`, readable by pages; cached tiles are answered meanwhile."""
    log, base = tmp_path / "log", f"/tiles/{single.token('counted')}"
    warm = f"{base}/6/0/0.png?log={log}"
    assert httpx.get(single.url + warm).status_code == 200
    answers = get_all(single, [f"{base}/7/{x}/1.png?log={log}&busy=0.15" for x in range(128)] + [warm])
    busy = [each for each in answers if each.status_code == 503]
    assert busy
    assert {each.status_code for each in answers} == {200, 503}
    assert answers[-1].status_code == 200
    assert int(busy[0].headers["retry-after"]) > 0
    assert busy[0].headers["cache-control"] == "no-store"
    assert busy[0].headers["access-control-allow-origin"] == "*"
    assert busy[0].json()["code"] == "busy"


def test_nothing_runs_for_who_has_gone(single: Running, tmp_path: Path) -> None:
    """Clients that hang up free the worker at once, and their places in the queue."""
    log, base = tmp_path / "log", f"{single.url}/tiles/{single.token('counted')}"
    for x in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{base}/8/{x}/1.png?log={log}&seconds=25", timeout=httpx.Timeout(20, read=0.3))
    answer = httpx.get(f"{base}/8/9/1.png?log={log}", timeout=15)
    assert answer.status_code == 200
    ready = httpx.get(f"{single.url}/readyz").json()
    assert (ready["running"], ready["queued"]) == (0, 0)


def test_one_who_goes_leaves_the_others_their_tile(single: Running, tmp_path: Path) -> None:
    """A flight ends with its last passenger."""
    log = tmp_path / "log"
    url = f"{single.url}/tiles/{single.token('counted')}/9/1/1.png?log={log}&seconds=1.5"

    def leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(url, timeout=httpx.Timeout(20, read=0.5))

    with ThreadPoolExecutor(3) as pool:
        leaving = [pool.submit(leave) for _ in range(2)]
        assert pool.submit(httpx.get, url, timeout=20).result().status_code == 200
        for each in leaving:
            each.result()
    assert runs(log) == ["9/1/1"]


def test_another_server_sees_a_change_at_its_next_request(single: Running, tmp_path: Path) -> None:
    """On the same data directory: a token switched off, on and deleted counts for tiles in its memory, too."""
    log = tmp_path / "log"
    with serving(COUNTED, data=single.data) as other, other.owner() as owner, httpx.Client() as reader:
        made = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "counted"}).json()["token"]
        listening = other.wait_for(r"http://([0-9.:]+)/tiles")[1]
        first = single.wait_for(r"http://([0-9.:]+)/tiles")[1]
        assert listening != first
        url = f"http://{first}/tiles/{made}/4/1/1.png?log={log}"
        manage = f"http://{listening}/server/v1/udf-access-token/by-token/{made}"
        assert [reader.get(url).status_code for _ in range(3)] == [200] * 3
        unknown = reader.get(f"http://{first}/tiles/fsh_{'u' * 43}/4/1/1.png")
        for _ in range(20):
            assert owner.post(manage, json={"enabled": False}).status_code == 200
            off = reader.get(url)
            assert (off.status_code, off.content) == (404, unknown.content)
            assert owner.post(manage, json={"enabled": True}).status_code == 200
            assert [reader.get(url).status_code for _ in range(3)] == [200] * 3
        assert owner.delete(manage).status_code == 200
        assert reader.get(url).content == unknown.content
    assert runs(log) == ["4/1/1"]
