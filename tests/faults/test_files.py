"""A function that writes more files than it may is ended, and with it all of them go; nobody else notices."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from load import Answer, Load
from publish import UDFS, versions
from server import Running, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FILES, BELOW = 105_000, 5_000
"""More than the limit of 100,000, and less."""
BORN = 1.0
"""Seconds within which a new worker answers on a busy machine; it takes a tenth of that."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The victim's, with time for whoever litters."""
    folder = tmp_path_factory.mktemp("files")
    with serving(UDFS / "victim.py", data=folder / "data", arguments=("--file-timeout", "100")) as running:
        yield running


def tiles(server: Running) -> list[str]:
    return [f"/tiles/{server.token('victim')}/9/{number * 37 % 512}/{number * 11 % 512}.png" for number in range(10)]


def littered(server: Running) -> set[Path]:
    """Scratch folders that hold what the function wrote."""
    return {path.parent for path in (server.data / "scratch").glob("nursery-*/worker-*/0")}


def litter(server: Running, token: str, files: int, deep: int) -> httpx.Response:
    """What the function's owner is told of a run."""
    with server.owner() as owner:
        return owner.get(f"/files/{token}?run=1&files={files}&deep={deep}", timeout=150)


class Littered(NamedTuple):
    """A run that wrote too many files, and how others fared meanwhile."""

    told: httpx.Response
    before: list[Answer]
    """What the victim was answered before."""
    meanwhile: list[Answer]
    """The same from the first file to the last removed one."""
    births: list[float]
    """Seconds that the first request of other functions took meanwhile, each of which needs a new worker."""


@pytest.fixture(scope="module", params=[1, 300])
def run(request: pytest.FixtureRequest, server: Running) -> Littered:
    """Files in one folder, or in many."""
    with versions(server, "litters", 1) as [token], Load(server.url, 20, *tiles(server)) as victim:
        with victim.during() as before:
            time.sleep(2)
        with victim.during() as meanwhile, ThreadPoolExecutor() as pool:
            litterer = pool.submit(litter, server, token, FILES, request.param)
            births = [birth(server)]
            while not litterer.done() or littered(server):
                births.append(birth(server))
                assert len(births) < 2000, "the files are still there"
    print(f"{len(births)} births, worst {max(births):.2f} s, median {statistics.median(births):.3f} s")
    return Littered(litterer.result(), before, meanwhile, births)


def birth(server: Running) -> float:
    """Seconds of a new version's first request."""
    with versions(server, "echo", 1) as [token], server.client() as client:
        began = time.monotonic()
        client.get(f"/files/{token}").raise_for_status()
        return time.monotonic() - began


def test_too_many_files_end_their_function(run: Littered) -> None:
    """Its owner reads why."""
    assert (run.told.status_code, run.told.json()["code"]) == (500, "disk_exceeded"), run.told.text


def test_the_victim_notices_nothing(run: Littered) -> None:
    """None of its tiles fails or has other bytes."""
    known = {each.kind: each.digest for each in run.before}
    assert {each.status for each in run.meanwhile} == {200}
    assert [each for each in run.meanwhile if each.digest != known[each.kind]] == []


def test_others_are_born_as_ever(run: Littered) -> None:
    """Neither looking at so many files nor removing them holds up who needs a new worker."""
    assert max(run.births) < BORN


def test_fewer_files_are_nobodys_business(server: Running) -> None:
    """They stay in the worker's folder for as long as it lives."""
    with versions(server, "litters", 1) as [token]:
        answer = litter(server, token, BELOW, 10)
        assert (answer.status_code, answer.json()) == (200, {"files": BELOW}), answer.text
        [folder] = littered(server)
        assert sum(1 for _ in folder.glob("*/*")) == BELOW
