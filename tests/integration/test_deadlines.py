"""How long a function has: as long as it says, and never longer than the server allows."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from server import Running, serving

TILE, FILE = 0.6, 0.9
"""Seconds that the server allows for a tile and for a file."""
LONG, SHORT = 60.0, 0.2
LATE = 5.0
"""Seconds by which a busy machine may be late; far below what the functions ask for."""
HANGS = """
import numpy as np
from tileserver import udf

@udf(kind="raster"{options})
def {name}(tile=None, hang: bool = False):
    print("begun", flush=True)
    while hang:
        pass
    return np.zeros((8, 8), np.uint8)
"""
WAITS = """
from tileserver import run, udf

@udf(kind="document"{options})
def {name}():
    return run("long", hang=True)
"""


class Case(NamedTuple):
    name: str
    tile: float
    """Seconds that it has for a tile."""
    file: float


CASES = [Case("long", TILE, FILE), Case("short", SHORT, SHORT), Case("plain", TILE, FILE)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Functions that ask for a minute, for a moment, and for nothing; and one that calls the first."""
    folder = tmp_path_factory.mktemp("deadlines")
    (folder / "udfs").mkdir()
    options = {"long": f", timeout={LONG:g}", "short": f", timeout={SHORT}", "plain": ""}
    for name, text in options.items():
        (folder / "udfs" / f"{name}.py").write_text(HANGS.format(name=name, options=text))
    for name, text in {"patient": options["long"], "hasty": options["short"]}.items():
        (folder / "udfs" / f"{name}.py").write_text(WAITS.format(name=name, options=text))
    arguments = ("--timeout", str(TILE), "--file-timeout", str(FILE))
    with serving(folder / "udfs", data=folder / "data", arguments=arguments) as running, running.client() as client:
        for name in options:  # its workers, and what is known of it
            client.get(f"/tiles/{running.token(name)}/1/0/0.png")
        yield running


def hang(server: Running, path: str, **query: str) -> tuple[httpx.Response, float]:
    """What the owner is told, and the seconds until then."""
    with server.owner() as owner:
        began = time.monotonic()
        answer = owner.get(path, params=query)
        return answer, time.monotonic() - began


def check(answer: httpx.Response, took: float, seconds: float) -> None:
    assert (answer.status_code, answer.json()["code"]) == (504, "udf_timed_out"), answer.text
    assert answer.json()["message"] == f"took longer than {seconds:g} seconds"
    assert seconds <= took < seconds + LATE


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_tile_has_the_shorter_of_both(server: Running, case: Case) -> None:
    """The function's `timeout=` and the server's."""
    answer, took = hang(server, f"/tiles/{server.token(case.name)}/3/1/2.png", hang="true")
    check(answer, took, case.tile)
    assert answer.json()["printed"] == "begun\n"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_file_has_the_shorter_of_both(server: Running, case: Case) -> None:
    """The server's is another one than for tiles."""
    answer, took = hang(server, f"/files/{server.token(case.name)}.png", hang="true", tile="3/1/2")
    check(answer, took, case.file)


@pytest.mark.parametrize(("name", "seconds"), [("patient", FILE), ("hasty", SHORT)])
def test_a_call_takes_of_its_callers_time(server: Running, name: str, seconds: float) -> None:
    """However long either asks for, the caller's deadline ends both."""
    answer, took = hang(server, f"/files/{server.token(name)}.json")
    assert answer.json()["code"] in ("udf_timed_out", "udf_raised"), answer.text
    assert "longer than" in answer.json()["message"]
    assert took < seconds + LATE


def test_a_time_that_is_none_is_not_published(tmp_path: Path) -> None:
    """It is said at the start, with the file's name; the others are served."""
    (tmp_path / "udfs").mkdir()
    odd = {"none": "0", "less": "-1", "endless": "1e999", "text": "'soon'"}
    for name, text in {**odd, "plain": "1"}.items():
        (tmp_path / "udfs" / f"{name}.py").write_text(HANGS.format(name=name, options=f", timeout={text}"))
    with serving(tmp_path / "udfs", data=tmp_path / "data") as running:
        for name in odd:
            assert running.wait_for(rf"{name}\.py.*timeout")
        assert running.token("plain")
