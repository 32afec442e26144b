"""Answers that rest on other UDFs: stale as soon as one of these changes, in every process that has them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server import Running, serving

Chain = tuple[Path, Running, Callable[[], None]]

TOP = """
from tileserver import run, udf

@udf
def top():
    return ["top", run("middle")]
"""
MIDDLE = """
from tileserver import run, udf

@udf
def middle():
    return ["middle", run("bottom")]
"""
BOTTOM = """
from tileserver import udf

@udf
def bottom():
    return {value}
"""
KEEPS = """
from tileserver import run, udf

KEPT = run("middle")

@udf(cache_max_age=0)
def keeps():
    return KEPT
"""
LENIENT = """
from tileserver import CallError, run, udf

@udf
def lenient():
    try:
        return run("bottom")
    except CallError as error:
        return error.cause
"""


@pytest.fixture(params=[1, 2])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    """A server that follows a folder of UDFs which call each other, in one process and in two."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    for name, code in {"top": TOP, "middle": MIDDLE, "bottom": BOTTOM.format(value=1), "lenient": LENIENT}.items():
        (folder / f"{name}.py").write_text(code)
    arguments = ("--reload", "--processes", str(request.param))
    with serving(folder, data=tmp_path / "data", arguments=arguments) as running:

        def publish(code: str) -> None:
            printed = len(running.lines)
            (folder / "bottom.py").write_text(code)
            running.wait_for("^  bottom ", start=printed, timeout=20)

        yield folder, running, publish


def get(running: Running, name: str) -> httpx.Response:
    """Over a connection of its own, so that any process may answer."""
    with running.client() as client:
        return client.get(f"/files/{running.token(name)}.json", timeout=60)


def ages(running: Running, name: str) -> set[str]:
    """Where ten answers come from."""
    return {get(running, name).headers["cache-status"].rpartition("detail=")[2] for _ in range(10)}


def test_a_changed_callee_makes_its_callers_stale(chain: Chain) -> None:
    """Also those that call it through another; until then their answers are kept."""
    _, running, publish = chain
    for value in (1, 2, 3):
        if value > 1:
            publish(BOTTOM.format(value=value))
        answers = [get(running, "top") for _ in range(6)]
        assert {answer.text for answer in answers} == {f'["top",["middle",{value}]]'}
        assert "run" not in ages(running, "top")


def test_a_changed_callee_ends_workers_that_remember_it(chain: Chain) -> None:
    """What was called at module level is called anew, whichever process holds the pool."""
    folder, running, publish = chain
    (folder / "keeps.py").write_text(KEEPS)
    running.wait_for("^  keeps ", timeout=20)
    for value in (1, 2, 3):
        if value > 1:
            publish(BOTTOM.format(value=value))
        assert {get(running, "keeps").text for _ in range(6)} == {f'["middle",{value}]'}


def test_what_rests_on_a_failed_call_is_not_kept(chain: Chain) -> None:
    """By nobody: it is asked for anew each time; when the callee is well again, the answer is kept."""
    _, running, publish = chain
    publish("from tileserver import udf\n@udf\ndef bottom():\n    raise ValueError\n")
    answers = [get(running, "lenient") for _ in range(3)]
    assert [answer.json() for answer in answers] == ["udf_raised"] * 3
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    publish(BOTTOM.format(value=5))
    assert get(running, "lenient").json() == 5
    assert "run" not in ages(running, "lenient")


def test_browsers_ask_again_for_what_rests_on_others(chain: Chain) -> None:
    """The version in a URL is the caller's; the callee's it does not name."""
    _, running, _ = chain
    for name, seconds in {"top": 60, "bottom": 86400}.items():
        with running.client() as client:
            template = client.get(f"/tiles/{running.token(name)}/tilejson.json").json()["tiles"][0]
            version = httpx.URL(template).params["v"]
            answer = client.get(f"/files/{running.token(name)}.json", params={"v": version})
        assert answer.headers["cache-control"].endswith(f"max-age={seconds + int(answer.headers['age'])}")


STAMPS = """
import time
from tileserver import run, udf

@udf(kind="document")
def stamps(tile):
    return {"n": time.time_ns()}
"""
ASKS = """
from tileserver import run, udf

@udf(kind="document")
def asks(tile):
    return run("stamps", tile=tile)
"""


def clear(running: Running, name: str, **body: list[int]) -> None:
    """By its owner."""
    with running.owner() as owner:
        assert owner.post(f"/api/v1/udf/{name}/clear", json=body).status_code == 204


def test_a_cleared_callee_makes_its_callers_stale(chain: Chain) -> None:
    """Each time, and once; and ends workers that remember what it gave."""
    folder, running, publish = chain
    publish(BOTTOM.format(value="__import__('time').time_ns()"))
    (folder / "keeps.py").write_text(KEEPS)
    running.wait_for("^  keeps ", timeout=20)
    seen: set[str] = set()
    for _ in range(3):
        told = {get(running, name).text for name in ("top", "keeps") for _ in range(6)}
        assert len(told) == 2
        assert not told & seen
        seen |= told
        assert "run" not in ages(running, "top")
        clear(running, "bottom")


def test_a_place_that_is_cleared_in_a_callee(chain: Chain) -> None:
    """Its callers' tiles there are new; elsewhere they are asked for anew, and say the same."""
    folder, running, _ = chain
    for name, code in (("stamps", STAMPS), ("asks", ASKS)):
        (folder / f"{name}.py").write_text(code)
        running.wait_for(f"^  {name} ", timeout=20)
    base = f"{running.url}/tiles/{running.token('asks')}"

    def told() -> tuple[str, str]:
        return httpx.get(f"{base}/8/133/90.json").text, httpx.get(f"{base}/8/10/90.json").text

    here, there = told()
    assert told() == (here, there)
    clear(running, "stamps", bbox=[8, 46, 9, 47])
    again, still = told()
    assert again != here
    assert still == there
    assert told() == (again, still)
