"""What runs printed, raised and cost, as their owner reads it: on a real server, over HTTP and as typed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from server import Running, second_account, serving
from typer.testing import CliRunner, Result

from tileserver.cli import udf
from tileserver.errors import InvalidParameterError

TALKS = """
import numpy as np
from tileserver import udf

@udf(kind="raster")
def talks(tile, how: str = "well", n: int = 1):
    print(f"n is {n}")
    print("\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07")
    if how == "badly":
        raise ValueError("the secret is 42")
    return np.full((tile.size, tile.size), n % 256, np.uint8)
"""
HANGS = """
from tileserver import udf

@udf(kind="document", timeout=0.3)
def hangs(how: str = "well"):
    print("going to sleep", flush=True)
    while how == "badly":
        pass
    return "awake"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a function that talks and one that hangs."""
    folder = tmp_path_factory.mktemp("udfs")
    (folder / "talks.py").write_text(TALKS)
    (folder / "hangs.py").write_text(HANGS)
    return folder


@pytest.fixture(scope="module")
def talking(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of both, whose probes are through."""
    with serving(folder, data=tmp_path_factory.mktemp("runs") / "data") as running:
        for name in ("talks", "hangs"):
            assert logs(running, name, after=0, wait=25)
        yield running


@pytest.fixture
def typed(talking: Running, monkeypatch: pytest.MonkeyPatch):
    """Runs `tileserver udf` with arguments."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(talking.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(udf.app, arguments, catch_exceptions=False)

    return run


def render(server: Running, tile: str, name: str = "talks", **query: Any) -> int:
    with server.client() as client:
        return client.get(f"/tiles/{server.token(name)}/{tile}.png", params=query).status_code


def logs(server: Running, name: str = "talks", **query: Any) -> list[dict[str, Any]]:
    with server.owner() as owner:
        answer = owner.get(f"/api/v1/udf/{name}/logs", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_a_run_printed_and_cost(talking: Running) -> None:
    """Tile, parameters, output, cache outcome and size of one that went well; no token anywhere."""
    assert render(talking, "5/1/2", n=7) == 200
    with talking.owner() as owner:
        answer = owner.get("/api/v1/udf/talks/logs?limit=1")
    [run] = answer.json()
    assert (run["tile"], run["parameters"], run["outcome"], run["cache"]) == (
        "5/1/2",
        {"how": "well", "n": 7},
        "ok",
        "miss",
    )
    assert run["printed"].startswith("n is 7\n")
    assert (run["message"], run["traceback"], run["media_type"]) == ("", "", "image/png")
    assert run["wall_ms"] > 0
    assert run["bytes"] > 50
    assert abs(run["started"] - time.time()) < 60
    assert answer.headers["cache-control"] == "no-store"
    assert "fsh_" not in answer.text
    before = run["id"]
    assert render(talking, "5/1/2", n=7) == 200
    assert logs(talking, after=before) == []
    assert render(talking, "5/1/2", n=7, cache_max_age=0) == 200
    logs(talking)
    assert [each["cache"] for each in logs(talking, after=before)] == ["none"]


def test_what_a_run_raised(talking: Running) -> None:
    """Code, message, exception, line and traceback, with what was printed before."""
    assert render(talking, "5/1/3", how="badly") == 422
    [run] = logs(talking, limit=1)
    assert (run["outcome"], run["tile"], run["parameters"]) == ("udf_raised", "5/1/3", {"how": "badly", "n": 1})
    assert (run["message"], run["exception"], run["line"]) == ("ValueError: the secret is 42", "ValueError", 10)
    assert "talks.py" in run["traceback"]
    assert run["printed"].startswith("n is 1\n")


def test_what_was_ended(talking: Running) -> None:
    """A deadline: how long it took, and what it printed until then; a file has no tile."""
    with talking.client() as client:
        assert client.get(f"/files/{talking.token('hangs')}?how=badly").status_code == 504
    [run] = logs(talking, "hangs", limit=1)
    assert (run["outcome"], run["tile"], run["printed"]) == ("udf_timed_out", None, "going to sleep\n")
    assert run["wall_ms"] >= 290
    assert "0.3 seconds" in run["message"]


def test_the_probe_is_a_run(talking: Running) -> None:
    """The first look at a version, marked as such."""
    for name, tile in (("talks", "0/0/0"), ("hangs", None)):
        first = logs(talking, name, limit=200)[0]
        assert (first["cache"], first["tile"], first["outcome"]) == ("probe", tile, "ok")


PROBED = """
import geopandas, shapely
from tileserver import udf

@udf(minzoom=3, block_zoom=8)
def probed(tile, n: float = 1):
    return geopandas.GeoDataFrame({"n": [n]}, geometry=[shapely.box(*tile.bounds)], crs=4326)
"""
SAID = """
from tileserver import udf

@udf
def said(n: float = 1):
    return str(n)
"""


def test_the_probe_is_an_answer(tmp_path: Path) -> None:
    """Of a tile in the middle, or of the file, which the function is not called for again, however it is asked for."""
    (tmp_path / "probed.py").write_text(PROBED)
    (tmp_path / "said.py").write_text(SAID)
    with serving(tmp_path, data=tmp_path / "data") as running, running.client() as client:
        for name, place, ends in (("probed", "tiles", ("", ".mvt", "?n=1")), ("said", "files", ("", "?n=1.0"))):
            [probe] = logs(running, name, after=0, wait=25)
            tile = f"/{probe['tile']}" if probe["tile"] else ""
            for end in ends:
                answer = client.get(f"/{place}/{running.token(name)}{tile}{end}")
                assert answer.status_code == 200
                assert "hit" in answer.headers["cache-status"]
            assert logs(running, name) == [probe]
        assert answer.text == "1.0"


@pytest.mark.slow
def test_200_are_kept(folder: Path, tmp_path: Path) -> None:
    """Of 250 the last, also after a restart."""
    with serving(folder / "talks.py", data=tmp_path / "data") as running:
        with running.client() as client:
            for n in range(250):
                assert client.get(f"/tiles/{running.token('talks')}/8/{n}/1.png").status_code == 200
        kept = logs(running, limit=1000)
    with serving(folder / "talks.py", data=tmp_path / "data") as running:
        again = [each for each in logs(running, limit=1000) if each["cache"] != "probe"]
    assert len(kept) == 200
    assert [each["tile"] for each in kept if each["cache"] == "miss"][-199:] == [f"8/{n}/1" for n in range(51, 250)]
    assert again == kept[-len(again) :]


def test_strangers_read_nothing(talking: Running) -> None:
    """401 without credentials, with a shared token and with a wrong one; nothing for pages of other origins."""
    url = "/api/v1/udf/talks/logs"
    with talking.client() as client:
        for headers in ({}, {"Authorization": f"Bearer {talking.token('talks')}"}, {"Authorization": "Bearer fpt_x"}):
            answer = client.get(url, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
        assert client.get("/api/v1/udf/none/logs").status_code == 401
        page = client.get(f"/tiles/{talking.token('talks')}/map").text
        assert "logs" not in page.replace('"logs_url":null', "")
        assert "runs.js" not in page
    with talking.owner() as owner:
        answer = owner.get(url, headers={"Origin": "https://a.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert owner.get("/api/v1/udf/none/logs").status_code == 404


def test_other_accounts_read_nothing(talking: Running) -> None:
    """Somebody else's function is as if it were not there."""
    with talking.client(headers={"Authorization": f"Bearer {second_account(talking)}"}) as client:
        assert client.get("/server/v1/user/self").json()["email"] == "b@c"
        assert client.get("/api/v1/udf/talks/logs").status_code == 404
        assert '"logs_url":null' in client.get(f"/tiles/{talking.token('talks')}/map").text


def test_the_session_reads_too(talking: Running) -> None:
    """Signed in by the link that `serve` printed."""
    with talking.client(follow_redirects=True) as client:
        client.get(talking.wait_for(r"sign in +(http\S+)")[1])
        assert client.get("/api/v1/udf/talks/logs").status_code == 200
        assert '"logs_url":"../../api/v1/udf/talks/logs"' in client.get(f"/tiles/{talking.token('talks')}/map").text


@pytest.mark.parametrize("query", ["limit=x", "after=-1", "wait=1.5", "limit="])
def test_numbers_are_numbers(talking: Running, query: str) -> None:
    """Else 422 with the parameter's name."""
    with talking.owner() as owner:
        answer = owner.get(f"/api/v1/udf/talks/logs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, InvalidParameterError.code)
    assert query.partition("=")[0] in answer.json()["detail"]


def test_who_waits_is_answered_when_there_is_news(talking: Running) -> None:
    """By the run itself, long before the wait is over."""
    render(talking, "7/0/0")
    [newest] = logs(talking, limit=1)
    heard: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: heard.extend(logs(talking, after=newest["id"], wait=25)))
    waiting.start()
    render(talking, "7/0/1", n=3)
    waiting.join(15)
    assert [each["tile"] for each in heard] == ["7/0/1"]


def test_who_waits_holds_up_no_stop(folder: Path, tmp_path: Path) -> None:
    """An empty list, and the server ends as if nobody had waited."""
    with serving(folder / "talks.py", data=tmp_path / "data") as running, running.owner() as owner:
        answers: list[httpx.Response] = []
        url = f"/api/v1/udf/talks/logs?after={2**53}&wait=25"
        waiting = threading.Thread(target=lambda: answers.append(owner.get(url)))
        waiting.start()
        httpx.get(f"{running.url}/livez")
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 6
        waiting.join(15)
    assert [(each.status_code, each.json()) for each in answers] == [(200, [])]


def test_a_damaged_log_costs_no_tile(folder: Path, tmp_path: Path) -> None:
    """It is put aside, one line says so, and new runs are kept."""
    (tmp_path / "data" / "logs").mkdir(parents=True)
    (tmp_path / "data" / "logs" / "runs.sqlite").write_text("no database" * 1000)
    with serving(folder / "talks.py", data=tmp_path / "data") as running:
        assert render(running, "3/1/2") == 200
        assert "3/1/2" in [each["tile"] for each in logs(running)]
        assert len([line for line in running.lines if "log of runs" in line]) == 1


# As typed


def test_logs_as_text(talking: Running, typed) -> None:
    """A line for each run, below it what it printed and why it failed; nothing that moves a terminal."""
    render(talking, "9/1/2", n=5)
    render(talking, "9/1/3", n=6, how="badly")
    lines = typed("logs", "talks", "--limit", "2").stdout.splitlines()
    assert len(lines) == 7
    assert "  9/1/2 " in lines[0] and " ok " in lines[0] and lines[0].endswith('miss   how="well" n=5')
    assert lines[1:3] == ["  n is 5", "  red \ufffd]0;title\ufffd"]
    assert "  9/1/3 " in lines[3] and " udf_raised " in lines[3] and 'how="badly" n=6' in lines[3]
    assert lines[6] == "  line 10: ValueError: the secret is 42"


def test_logs_as_json(talking: Running, typed) -> None:
    """An object a line, as the server has it; `--failed` finds what failed behind what went well."""
    render(talking, "9/2/3", n=6, how="badly")
    render(talking, "9/2/4", n=6)
    runs = [json.loads(line) for line in typed("logs", "talks", "--json", "--limit", "2").stdout.splitlines()]
    assert runs == logs(talking, limit=2)
    [failed] = [json.loads(line) for line in typed("logs", "talks", "--json", "--failed", "-n1").stdout.splitlines()]
    assert (failed["tile"], failed["outcome"]) == ("9/2/3", "udf_raised")
    assert typed("logs", "talks", "--limit", "0").stdout == ""


def test_list(talking: Running, typed) -> None:
    """Name, kind, token and addresses."""
    render(talking, "9/1/2")
    listed = {each["name"]: each for each in json.loads(typed("list", "--json").stdout)}
    assert set(listed) == {"talks", "hangs"}
    assert set(listed["talks"]) == {"name", "kind", "token", "tile_url", "file_url", "map_url"}
    assert (listed["talks"]["kind"], listed["talks"]["token"]) == ("raster", talking.token("talks"))
    assert listed["hangs"]["map_url"] in typed("list").stdout


def test_no_such_function(talking: Running) -> None:
    """One line, status 1."""
    done = subprocess.run(command("nothing"), env=environment(talking.data), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "tileserver: UDF not found\n")


@pytest.mark.slow
def test_follow_over_a_restart(folder: Path, tmp_path: Path) -> None:
    """New runs as they come; where the server goes one line says so, and when it is back the next run is shown."""
    data = tmp_path / "data"
    with contextlib.ExitStack() as stack:
        with serving(folder / "talks.py", data=data) as running:
            render(running, "3/0/1")
            follower = stack.enter_context(following(data))
            assert next_tile(follower.stdout) == "3/0/1"
            render(running, "3/0/2")
            assert next_tile(follower.stdout) == "3/0/2"
        assert follower.stderr.readline() == "tileserver: the server does not answer; waiting for it\n"
        with serving(folder / "talks.py", data=data) as running:
            render(running, "3/0/3")
            assert next_tile(follower.stdout) == "3/0/3"
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 130
            assert follower.stderr.read() == ""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tileserver", "udf", "logs", *arguments]


def environment(data: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}
    return kept | {"TILESERVER_DATA_DIR": str(data)}


@contextlib.contextmanager
def following(data: Path) -> Iterator[Any]:
    """`tileserver udf logs talks --follow --json`, ended afterwards."""
    process = subprocess.Popen(
        command("talks", "--follow", "--json"),
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_tile(lines: IO[str]) -> str:
    """Of the next run that somebody asked for."""
    while (run := json.loads(lines.readline()))["cache"] == "probe":
        pass
    return str(run["tile"])
