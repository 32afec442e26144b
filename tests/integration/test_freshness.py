"""Answers past their age: given while new ones are made, or where these fail, if the UDF says so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server import Running, serving

SOURCE = """
import time
from pathlib import Path
from tileserver import udf

@udf(cache_max_age={age}{options})
def stamped(gate: str = ""):
    if gate and Path(gate).read_text() == "fail":
        raise ValueError("as was asked")
    return {{"n": time.time_ns()}}
"""
UDFS = {
    "plain": SOURCE.format(age=1, options=""),
    "bridged": SOURCE.format(age=1, options=', stale_while_revalidate="1h"'),
    "briefly": SOURCE.format(age=1, options=", stale_while_revalidate=1"),
    "rescued": SOURCE.format(age=1, options=', stale_if_error="1h"'),
    "both": SOURCE.format(age=1, options=', stale_while_revalidate="1h", stale_if_error="1h"'),
    "fused": SOURCE.format(age=0, options=', stale_while_revalidate="1h", stale_if_error="1h"'),
}
CALLING = """
from tileserver import run, udf

@udf(cache_max_age=1, stale_if_error="1h")
def calling(token: str):
    return run(token)
"""
Asked = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server process; a second is how long each answer is fresh."""
    folder = tmp_path_factory.mktemp("freshness")
    for name, source in UDFS.items():
        (folder / f"{name}.py").write_text(source.replace("stamped", name))
    (folder / "calling.py").write_text(CALLING)
    with serving(folder, data=folder / "data") as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that says whether functions work."""
    place = tmp_path / "gate"
    place.write_text("work")
    return place


@pytest.fixture
def asked(running: Running, gate: Path) -> Asked:
    """Ask for a UDF's file, of a new key in each test."""

    def _ask(name: str, **more: str) -> httpx.Response:
        url = f"{running.url}/files/{running.token(name)}.json"
        return httpx.get(url, params={"gate": str(gate), **more}, timeout=60)

    return _ask


def source(answer: httpx.Response) -> str:
    """Where it came from."""
    return answer.headers["cache-status"].rpartition("detail=")[2]


def until(ask: Callable[[], httpx.Response], wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask until it is so; each takes its time, and the server's clock goes on."""
    for _ in range(5000):
        answer = ask()
        if wanted(answer):
            return answer
    raise AssertionError(dict(answer.headers))


def test_what_is_past_its_age_is_made_anew(asked: Asked) -> None:
    """Where a UDF says nothing, before anybody gets it."""
    first = asked("plain")
    second = until(lambda: asked("plain"), lambda answer: source(answer) != "memory")
    assert source(second) == "run"
    assert second.content != first.content


def test_it_is_served_while_it_is_made_anew(asked: Asked) -> None:
    """Whoever comes first does not wait, is told how old it is, and keeps it no longer; soon there is a new one."""
    first = asked("bridged")
    stale = until(lambda: asked("bridged"), lambda answer: source(answer) != "memory")
    assert source(stale) == "stale"
    assert stale.content == first.content
    assert int(stale.headers["age"]) >= 1
    assert "max-age=0" in stale.headers["cache-control"]
    assert "; hit; ttl=" in stale.headers["cache-status"]
    assert int(stale.headers["cache-status"].partition("ttl=")[2].partition(";")[0]) <= 0
    new = until(lambda: asked("bridged"), lambda answer: answer.content != first.content)
    assert source(new) in ("memory", "disk")


def test_not_for_longer_than_it_says(asked: Asked) -> None:
    """A second fresh, a second bridged."""
    first = asked("briefly")
    created = until(lambda: asked("briefly", again="no"), lambda answer: int(answer.headers["age"]) >= 0)
    assert created.status_code == 200
    late = until(lambda: httpx_age(asked, first), lambda answer: answer.content != first.content)
    assert source(late) in ("memory", "disk", "run")


def httpx_age(asked: Asked, first: httpx.Response) -> httpx.Response:
    """The answer; an old one is no older than two seconds and what it takes to say so."""
    answer = asked("briefly")
    if answer.content == first.content:
        assert int(answer.headers["age"]) <= 2
    return answer


def test_a_failure_in_the_background_is_nobodys(asked: Asked, gate: Path) -> None:
    """Who asks gets what there is; when it works again, the new one."""
    first = asked("bridged")
    gate.write_text("fail")
    for _ in range(3):
        stale = until(lambda: asked("bridged"), lambda answer: source(answer) == "stale")
        assert (stale.status_code, stale.content) == (200, first.content)
    gate.write_text("work")
    assert until(lambda: asked("bridged"), lambda answer: answer.content != first.content).status_code == 200


@pytest.mark.parametrize("name", ["rescued", "both"])
def test_it_is_served_where_a_run_fails(asked: Asked, gate: Path, name: str) -> None:
    """Also while the failure is remembered, and cleared or not; not where there was none."""
    first = asked(name)
    gate.write_text("fail")
    for _ in range(2):
        stale = until(lambda: asked(name), lambda answer: source(answer) == "stale")
        assert (stale.status_code, stale.content) == (200, first.content)
    assert asked(name, other="key", gate=str(gate)).status_code == 200
    gate.with_name("second").write_text("fail")
    assert asked(name, gate=str(gate.with_name("second"))).status_code == 422


def test_a_failure_is_told_where_nothing_is_said(asked: Asked, gate: Path) -> None:
    """By UDFs that bridge only, once that is over, and by those that keep nothing."""
    asked("plain")
    asked("fused")
    gate.write_text("fail")
    assert until(lambda: asked("plain"), lambda answer: answer.status_code != 200).status_code == 422
    assert asked("fused").status_code == 422


def test_what_was_cleared_is_not_bridged(running: Running, asked: Asked) -> None:
    """It is wrong, not only old."""
    first = asked("bridged")
    with running.owner() as owner:
        assert owner.post("/api/v1/udf/bridged/clear", json={}).status_code == 204
    assert asked("bridged").content != first.content


def test_what_was_cleared_is_a_rescue_that_nobody_keeps(running: Running, asked: Asked, gate: Path) -> None:
    """However young it is."""
    first = asked("rescued", cache_max_age="1h")
    gate.write_text("fail")
    with running.owner() as owner:
        assert owner.post("/api/v1/udf/rescued/clear", json={}).status_code == 204
    stale = asked("rescued", cache_max_age="1h")
    assert (source(stale), stale.content) == ("stale", first.content)
    assert stale.headers["cache-control"] == "private, max-age=0"
    assert "; ttl=0; " in stale.headers["cache-status"]


def test_what_a_disabled_token_opened_is_no_rescue(running: Running, asked: Asked) -> None:
    """It fails for want of the token, and what rested on that is given to nobody."""
    with running.owner() as owner:
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "plain"}).json()["token"]
        assert asked("calling", token=token).status_code == 200
        manage = f"/server/v1/udf-access-token/by-token/{token}"
        assert owner.post(manage, json={"enabled": False}).status_code == 200
        assert asked("calling", token=token).status_code == 422
