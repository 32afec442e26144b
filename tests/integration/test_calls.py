"""UDFs that call UDFs: what arrives, how deep, how many at once, and what is refused rather than stuck."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server import Running, serving


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a single core for functions."""
    folder = tmp_path_factory.mktemp("calls")
    with serving(Path(__file__).parent / "calls", data=folder / "data", arguments=("--workers", "1")) as running:
        yield running


def get(server: Running, udf: str, /, **parameters: Any) -> httpx.Response:
    with server.owner() as owner:
        return owner.get(f"/files/{server.token(udf)}.json", params=parameters, timeout=60)


def test_results_arrive_as_they_were_returned(one: Running) -> None:
    """Arrays with their type, tables with index, geometry and reference system, data as JSON has it."""
    answer = get(one, "takes")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    errors = told.pop("errors")
    assert told == {
        "data": {"a": [1, 2.5, "text", None, True], "b": [1, 2]},
        "array": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        "masked": [1.5, None],
        "frame": [[5, 7], [1, 2**60], "2024-01-02 00:00:00"],
        "features": ["place", 3857, 4326, 9],
        "table": ["Table", [1, None]],
        "bytes": 12_000_000,
        "none": None,
        "number": 0.5,
        "tile": [3, 1, 2, 512],
        "tuple": [3, 1, 2, 256],
    }
    assert errors[0] == ["not_found", "'absent': there is no UDF of this name"]
    assert errors[1][0] == "bad_result"
    assert "an object" in errors[1][1]
    assert errors[2] == ["invalid_parameter", "'gives': it takes no parameter 'thing'"]
    assert errors[3][0] == "invalid_parameter"


def test_a_chain_of_five_on_one_core(one: Running) -> None:
    """Who waits weighs nothing; the sixth is refused, and the reason reaches the one who asked first."""
    assert get(one, "chain", depth=5).json() == [5, 4, 3, 2, 1, 0]
    answer = get(one, "chain", depth=6)
    assert answer.status_code == 422
    assert answer.json()["code"] == "udf_raised"
    assert "calls go deeper than 5" in answer.json()["message"]


def test_a_chain_that_was_too_deep_is_none_for_others(one: Running) -> None:
    """What failed at its end fails for nobody who asks from less deep; for who asked first it is remembered."""
    failed = get(one, "chain", depth=6, seconds=0.001)
    assert failed.status_code == 422
    for depth in (5, 4, 3, 2, 1):
        assert get(one, "chain", depth=depth, seconds=0.001).json() == list(range(depth, -1, -1))
    assert get(one, "chain", depth=6, seconds=0.001).json() == failed.json()


def test_fifty_at_once_on_one_core(one: Running) -> None:
    """From coroutines and from a thread, each with its own answer."""
    answer = get(one, "fans")
    assert answer.status_code == 200, answer.text
    assert answer.json() == [*range(50), -1]


def test_a_circle_is_refused(one: Running) -> None:
    """A function that asks for what waits for it."""
    answer = get(one, "circle")
    assert answer.status_code == 422
    assert "calls go in a circle" in answer.json()["message"]


def test_two_circles_that_meet_are_refused(one: Running, tmp_path: Path) -> None:
    """a asks b while b, of another request, asks a: neither waits for ever."""
    answers: dict[str, httpx.Response] = {}

    def ask(name: str) -> None:
        answers[name] = get(one, "circle", name=name, log=str(tmp_path / "log"))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers.values()} == {422}
    assert "calls go in a circle" in " ".join(answer.json()["message"] for answer in answers.values())


def test_calls_go_through_the_cache(one: Running, tmp_path: Path) -> None:
    """Three calls are one run, unless the caller wants it anew."""
    log = tmp_path / "log"
    assert get(one, "cached", log=log).json() == [1, 1, 1]
    assert log.read_text() == "run\n"
    assert get(one, "cached", log=log, fresh=True).json() == [1, 1, 1]
    assert log.read_text() == "run\n" * 4


def test_a_called_function_has_the_time_that_is_left(tmp_path: Path) -> None:
    """The deadline of the first one ends all."""
    arguments = ("--workers", "1", "--file-timeout", "2")
    with serving(Path(__file__).parent / "calls" / "chain.py", data=tmp_path / "data", arguments=arguments) as running:
        answer = get(running, "chain", depth=3, seconds=0.8)
    assert answer.status_code in (422, 504)
    assert answer.json()["code"] in ("udf_timed_out", "udf_raised")
    assert "longer than" in answer.json()["message"]
