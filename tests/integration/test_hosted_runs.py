"""Runs as the hosted API's clients ask for them: of UDFs by name, and of sources that come with the request."""

import io
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from server import Running, second_account, serving

RUNS = "/server/v1/realtime/{client}/api/v1/run/udf"
SOURCE = """
@fused.udf
def udf(n: int = 1, wait: float = 0.0, flag: bool = False, items: list = []):
    import sys, time, pandas as pd
    time.sleep(wait)
    print("computing", n)
    print("of", n, file=sys.stderr)
    if n == 13:
        raise ValueError("the secret is 42")
    return pd.DataFrame({"n": [n], "flag": [flag], "items": [str(items)]})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one function."""
    folder = tmp_path_factory.mktemp("udfs")
    (folder / "hello.py").write_text(SOURCE)
    (folder / "flat.py").write_text(
        "from tileserver import udf\nimport numpy as np\n\n"
        "@udf(kind='raster', maxzoom=5)\ndef flat(tile):\n    return np.full((256, 256), tile.x, np.uint8)\n"
    )
    return folder


@pytest.fixture(scope="module")
def hosting(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of it."""
    with serving(folder, data=tmp_path_factory.mktemp("hosting") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def stranger(hosting: Running) -> dict[str, str]:
    """The header of another account."""
    return {"Authorization": f"Bearer {second_account(hosting)}"}


def saved(running: Running, path: str = "owner@localhost/hello", client: str = "fused", **query: Any) -> httpx.Response:
    """A run by name, as its owner asks for it."""
    with running.owner() as owner:
        return owner.get(f"{RUNS.format(client=client)}/saved/{path}", params={"format": "parquet"} | query)


def step(code: str = SOURCE, entry: str = "udf", **parameters: Any) -> str:
    """A source with parameters, as the SDK packs it."""
    udf = {"name": "hello there!", "type": "geopandas_v2", "code": code, "headers": [], "entrypoint": entry}
    return json.dumps({"type": "udf", "udf": udf | {"parameters": parameters}, "input": None})


def posted(running: Running, path: str = "", headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    """A run of a source, as an owner asks for it."""
    with running.owner() as owner:
        return owner.post(RUNS.format(client="fused") + path, json={"format": "parquet"} | body, headers=headers)


def frame(answer: httpx.Response) -> dict[str, Any]:
    """The only row of a table."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return pd.read_parquet(io.BytesIO(answer.content)).iloc[0].to_dict()


def told(answer: httpx.Response) -> dict[str, Any]:
    """What the SDK shows of a run."""
    header = answer.headers["x-fused-metadata"]
    assert header.isascii()
    assert len(header) < 8000
    found: dict[str, Any] = json.loads(header)
    return found


def test_a_udf_runs_by_name(hosting: Running) -> None:
    assert frame(saved(hosting, n=3)) == {"n": 3, "flag": False, "items": "[]"}
    assert frame(saved(hosting, "owner/hello", client="anything", n=3))["n"] == 3
    assert frame(saved(hosting, "owner%40localhost/hello.parquet", n=3))["n"] == 3


def test_its_tiles_by_name(hosting: Running) -> None:
    answer = saved(hosting, "owner@localhost/flat/tiles/3/1/2", format="png")
    assert answer.headers["content-type"] == "image/png"
    with hosting.client() as client:
        assert answer.content == client.get(f"/tiles/{hosting.token('flat')}/3/1/2.png").content
    assert saved(hosting, "owner@localhost/flat/tiles/3/1/8").status_code == 404


def test_only_who_may_see_it_runs_it(hosting: Running, stranger: dict[str, str]) -> None:
    """Nobody without a token; not another's UDF, nor one that is not there: both look the same."""
    path = RUNS.format(client="fused") + "/saved/owner@localhost/hello"
    with hosting.client() as client:
        assert client.get(path).status_code == 401
        other = client.get(path, headers=stranger)
    missing = saved(hosting, "owner@localhost/missing")
    assert other.status_code == missing.status_code == 404
    assert other.json() == missing.json()


def test_what_its_owner_was_just_told_is_not_a_strangers(hosting: Running, stranger: dict[str, str]) -> None:
    """Also within the second in which answers are given again without looking."""
    path = f"{RUNS.format(client='fused')}/saved/owner@localhost/flat/tiles/1/0/0"
    with hosting.owner() as owner, hosting.client() as client:
        answers = [owner.get(path) for _ in range(3)]
        refused = [client.get(path, headers=headers).status_code for headers in ({}, stranger)]
    assert [each.status_code for each in answers] == [200] * 3
    assert answers[-1].headers["x-cache"] == "HIT"
    assert refused == [401, 404]


def test_a_name_with_line_breaks_makes_no_header(hosting: Running) -> None:
    """What an error quotes stays one line of one header."""
    with hosting.owner() as owner:
        body = {"slug": "a\r\nx-more: 1", "udf_body": json.dumps({"code": "x = 1"})}
        refused = owner.post("/server/v1/udf/new", json=body)
    assert refused.status_code == 422
    assert "x-more" not in refused.headers
    assert refused.headers["x-fused-error"] == "a  x-more: 1.py:1: no function here is decorated with @udf"


def test_what_is_kept_says_so_and_repeats_what_was_printed(hosting: Running) -> None:
    first, second = saved(hosting, n=4), saved(hosting, n=4)
    assert "x-cache" not in first.headers
    assert second.headers["x-cache"] == "HIT"
    assert told(first) == told(second)
    assert (told(first)["stdout"], told(first)["stderr"]) == ("computing 4\n", "of 4\n")


def test_strangers_hear_that_it_failed_and_the_owner_why(hosting: Running) -> None:
    failed = saved(hosting, n=13)
    assert failed.status_code == 422
    said = told(failed)
    assert (said["has_exception"], said["exception_class"], said["lineno"]) == (True, "ValueError", 9)
    assert "the secret is 42" in said["errormsg"]
    assert (said["stdout"], said["stderr"]) == ("computing 13\n", "of 13\n")
    path = f"/server/v1/realtime-shared/{hosting.token('hello')}/run/file?format=parquet"
    with hosting.client() as client, hosting.owner() as owner:
        stranger, good = client.get(f"{path}&n=13"), client.get(f"{path}&n=5")
        assert told(owner.get(f"{path}&n=13")) == said
        assert told(owner.get(f"{path}&n=5"))["stdout"] == "computing 5\n"
    assert stranger.status_code == 422
    assert told(stranger)["has_exception"] is True
    assert "secret" not in stranger.headers["x-fused-metadata"] + stranger.text
    assert "x-fused-metadata" not in good.headers


def test_other_errors_are_sentences(hosting: Running) -> None:
    for answer in (saved(hosting, n="x"), saved(hosting, "owner@localhost/missing")):
        assert answer.headers["x-fused-error"] == answer.json()["detail"]
        assert "x-fused-metadata" not in answer.headers


def test_a_source_runs_as_it_came(hosting: Running) -> None:
    """Parameters in the spelling of the wire: lists and booleans as text, numbers as they are."""
    answer = posted(hosting, step_config=step(n=7, flag="true", items="[1, 2]", strange=1, wait=None))
    assert frame(answer) == {"n": 7, "flag": True, "items": "[1, 2]"}
    assert told(answer)["stdout"] == "computing 7\n"
    assert posted(hosting, step_config=step(n=7, flag="true", items="[1, 2]")).headers["x-cache"] == "HIT"


def test_one_of_a_sources_functions_runs(hosting: Running) -> None:
    """The one that is named, decorated or not; their answers are kept apart."""
    code = (
        SOURCE
        + "\n@fused.udf\ndef other(n: int = 1): return udf(n=n + 1)\ndef third(n: int = 1): return udf(n=n + 2)\n"
    )
    for _ in range(2):
        found = [frame(posted(hosting, step_config=step(code, entry, n=1)))["n"] for entry in ("udf", "other", "third")]
        assert found == [1, 2, 3]


def test_a_source_that_fails_tells_its_sender_why(hosting: Running) -> None:
    answer = posted(hosting, step_config=step(n=13))
    assert answer.status_code == 422
    assert told(answer)["lineno"] == 9


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"step_config": step("def udf(")}, "not Python"),
        ({"step_config": step("x = 1")}, "no function 'udf'"),
        ({"step_config": step(entry="f")}, "no function 'f'"),
        ({"step_config": "{"}, "cannot be read"),
        ({"step_config": json.dumps({"udf": {"code": 1}})}, "cannot be read"),
        ({}, "cannot be read"),
        ({"step_config": step(n="seven")}, "'n'"),
    ],
)
def test_what_cannot_be_run_is_refused(hosting: Running, body: dict[str, Any], words: str) -> None:
    answer = posted(hosting, **body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_source_is_for_accounts_only(hosting: Running) -> None:
    with hosting.client() as client:
        for path in ("", "/start"):
            answer = client.post(RUNS.format(client="fused") + path, json={"step_config": step()})
            assert answer.status_code == 401
        assert client.get(f"{RUNS.format(client='fused')}/get/{uuid.uuid4()}").status_code == 401


def test_a_short_run_is_answered_at_once(hosting: Running) -> None:
    answer = posted(hosting, "/start", {"Fused-Run-Id": str(uuid.uuid4())}, step_config=step(n=8))
    assert frame(answer)["n"] == 8
    assert frame(posted(hosting, "/start", step_config=step(n=9)))["n"] == 9


def test_a_long_run_is_asked_for_again(hosting: Running, stranger: dict[str, str]) -> None:
    """202 until it has come to its end; only for who began it, and as often as he likes."""
    run, began = str(uuid.uuid4()), time.monotonic()
    answer = posted(hosting, "/start", {"Fused-Run-Id": run}, step_config=step(n=2, wait=4))
    assert answer.status_code == 202
    assert time.monotonic() - began < 5, "the SDK has given up"
    assert posted(hosting, "/start", {"Fused-Run-Id": run}, step_config=step(n=2)).status_code == 409
    assert posted(hosting, "/start", {"Fused-Run-Id": run}, step_config=step(n=2, wait=4)).status_code in (200, 202)
    path = f"{RUNS.format(client='fused')}/get/{run}"
    with hosting.client() as client:
        assert client.get(path, headers=stranger).status_code == 404
    with hosting.owner() as owner:
        while (answer := owner.get(path)).status_code == 202:
            assert time.monotonic() - began < 20
        assert frame(answer)["n"] == 2
        assert told(answer)["stdout"] == "computing 2\n"
        assert owner.get(path).content == answer.content
        assert owner.get(f"{RUNS.format(client='fused')}/get/{uuid.uuid4()}").status_code == 404
        assert owner.get(f"{RUNS.format(client='fused')}/get/x%2e%2e").status_code == 422


@pytest.mark.slow
def test_another_process_tells_of_a_run(folder: Path, tmp_path: Path) -> None:
    """Whichever process answers: each takes some of twenty connections."""
    with serving(folder, data=tmp_path / "data", arguments=("--processes", "2")) as running:
        run = str(uuid.uuid4())
        assert posted(running, "/start", {"Fused-Run-Id": run}, step_config=step(n=6, wait=3.5)).status_code == 202
        for _ in range(20):
            with running.owner() as owner:
                while (answer := owner.get(f"{RUNS.format(client='fused')}/get/{run}")).status_code == 202:
                    pass
            assert frame(answer)["n"] == 6


def test_clearing_makes_new_runs(hosting: Running) -> None:
    """Of everything; tiles alone are no file, and what is no tile is refused."""
    with hosting.owner() as owner, hosting.client() as client:
        udf = next(each["id"] for each in owner.get("/server/v1/udf/self").json() if each["slug"] == "hello")
        place = f"/server/v1/realtime-shared/fused/udf-cache/by-id/{udf}"
        tiles = {"tiles": [{"z": 3, "x": 1, "y": 2}, {"z": 3, "x": 1, "y": 3}]}
        for method, path, body, cleared in (
            ("DELETE", "delete", None, True),
            ("DELETE", "delete?z=3&x=1&y=2", None, False),
            ("POST", "batch-delete", tiles, False),
        ):
            saved(hosting, n=20)
            assert saved(hosting, n=20).headers["x-cache"] == "HIT"
            assert client.request(method, f"{place}/{path}", json=body).status_code == 401
            assert owner.request(method, f"{place}/{path}", json=body).status_code == 204
            assert ("x-cache" not in saved(hosting, n=20).headers) == cleared
        for path in ("delete?z=3&x=8&y=2", "delete?z=3&x=1", "delete?z=3&x=1&y=-2"):
            assert owner.delete(f"{place}/{path}").status_code == 422
        assert owner.post(f"{place}/batch-delete", json={"tiles": [{"z": 3, "x": 8, "y": 2}]}).status_code == 422
        assert owner.delete(f"{place}/delete".replace(udf, str(uuid.uuid4()))).status_code in (404, 405)
