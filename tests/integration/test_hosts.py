"""Two servers that share a registry in PostgreSQL and a cache in Redis, and no folder: as on two hosts."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from postgresql import needs_postgres, postgres
from server import Running, serving
from stores import needs_redis, redis

pytestmark = [pytest.mark.slow, needs_postgres, needs_redis]

SOURCE = """
import time
from pathlib import Path
import numpy as np
from tileserver import udf

@udf(kind="raster")
def stamped(tile, log: str = "", seconds: float = 0.0):
    if log:
        with Path(log).open("a") as file:
            file.write("run\\n")
    time.sleep(seconds)
    number = len(Path(log).read_text().split()) if log else 0
    return np.full((tile.size, tile.size), number, np.uint8)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """The servers."""
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "stamped.py").write_text(SOURCE)
    with postgres() as database, redis(folder) as (store, _), contextlib.ExitStack() as stack:
        address = database.database()
        arguments = ("--cache", store, "--secret-key-file", str(folder / "master.key"))
        made = []
        for name in ("one", "other"):
            (folder / name).mkdir()
            data = folder / name / "data"
            server = serving(folder / "stamped.py", data=data, arguments=arguments, TILESERVER_DATABASE_URL=address)
            made.append(stack.enter_context(server))
        for one, other in (made, made[::-1]):
            until(lambda one=one, other=other: shares(one, other))
        yield made


PLACES = itertools.count()


def shares(one: Running, other: Running) -> bool:
    """Whether a tile that one makes is there for the other: both are connected to the store."""
    url = f"/tiles/{one.token('stamped')}/20/{next(PLACES)}/0.png"
    httpx.get(one.url + url).raise_for_status()
    return source(httpx.get(other.url + url)) == "redis"


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what one host hears of another."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def source(answer: httpx.Response) -> str:
    return answer.headers["cache-status"].rpartition("detail=")[2]


def test_both_have_the_same_tokens(two: list[Running]) -> None:
    """And no file in common that they could have them from."""
    one, other = two
    assert one.token("stamped") == other.token("stamped")


def test_many_requests_of_both_are_one_run(two: list[Running], tmp_path: Path) -> None:
    """For a tile that neither has."""
    log = tmp_path / "log"
    url = f"/tiles/{two[0].token('stamped')}/3/1/2.png?seconds=1&log={log}"
    begin = threading.Barrier(60)

    def get(number: int) -> httpx.Response:
        begin.wait()
        return httpx.get(two[number % 2].url + url, timeout=60)

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(get, range(60)))
    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
    assert log.read_text().split() == ["run"]


def test_what_is_cleared_on_one_is_cleared_on_the_other(two: list[Running], tmp_path: Path) -> None:
    """Of all tiers, the other's memory too; and what is made since is shared again."""
    one, other = two
    log = tmp_path / "log"
    url = f"/tiles/{one.token('stamped')}/3/1/2.png?log={log}"
    first = httpx.get(one.url + url)
    assert [source(httpx.get(other.url + url)) for _ in range(2)] == ["redis", "memory"]
    with one.owner() as owner:
        assert owner.post("/api/v1/udf/stamped/clear", json={"zooms": [3, 3]}).status_code == 204
    until(lambda: httpx.get(other.url + url).content != first.content)
    assert source(httpx.get(one.url + url)) == "redis"
    assert log.read_text().split() == ["run"] * 2


def test_a_token_that_is_disabled_on_one_opens_nothing_on_the_other(two: list[Running]) -> None:
    """Nor what is in its memory."""
    one, other = two
    with one.owner() as owner:
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "stamped"}).json()["token"]
        url = f"{other.url}/tiles/{token}/3/1/2.png"
        assert httpx.get(url).status_code == 200
        owner.post(f"/server/v1/udf-access-token/by-token/{token}", json={"enabled": False}).raise_for_status()
        until(lambda: httpx.get(url).status_code == 404)


def test_edits_are_published_when_the_database_is_back(tmp_path: Path) -> None:
    """Those of meanwhile too, and what went wrong is said once."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    (folder / "stamped.py").write_text(SOURCE)
    with (
        postgres() as database,
        serving(
            folder, data=tmp_path / "data", arguments=("--reload",), TILESERVER_DATABASE_URL=database.database()
        ) as running,
    ):
        database.stop()
        (folder / "meanwhile.py").write_text(SOURCE.replace("stamped", "meanwhile"))
        running.wait_for("nothing could be published: The server cannot reach its registry", timeout=20)
        unknown = f"/tiles/fsh_{'x' * 43}/1/0/0.png"
        answer = httpx.get(running.url + unknown)
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        printed = len(running.lines)
        database.start()
        running.wait_for("^  meanwhile", start=printed, timeout=20)
        assert httpx.get(running.url + unknown).status_code == 404
        assert sum("could be published" in line for line in running.lines) == 1
        assert not any("Traceback" in line for line in running.lines)
