"""Batch jobs on a real server."""

import contextlib
import io
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
from server import UDFS, Running, second_account, serving

BASE = "/server/v1"
SOURCE = """
@fused.udf
def udf(n: int = 1, wait: float = 0.0):
    import sys, time, pandas as pd
    time.sleep(wait)
    print("computing", n)
    print("of", n, file=sys.stderr)
    if n == 13:
        raise ValueError("unlucky")
    return pd.DataFrame({"n": [n]})
"""


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with some UDF."""
    data = tmp_path_factory.mktemp("batching") / "data"
    with serving(min(UDFS.glob("*.py")), data=data, TILESERVER_FILE_TIMEOUT="1") as running:
        yield running


def step(given: list[Any] | None, code: str = SOURCE, **options: Any) -> dict[str, Any]:
    """A step of a job."""
    return {"type": "udf", "udf": {"name": "numbers", "code": code, "parameters": {}}, "input": given} | options


def begin(running: Running, *steps: dict[str, Any], **config: Any) -> httpx.Response:
    """Start a job."""
    with running.owner() as owner:
        body = {"config": {"name": None, "steps": steps, "metadata": None} | config, "send_status_email": False}
        return owner.post(f"{BASE}/run?instance_type=small", json=body)


def ended(running: Running, job: str) -> dict[str, Any]:
    """A job that is at its end."""
    until = time.monotonic() + 30
    with running.owner() as owner:
        while (found := owner.get(f"{BASE}/run/by-id/{job}").json())["status"] == "running":
            assert time.monotonic() < until, found
            time.sleep(0.05)
    return dict(found)


def log(running: Running, job: str, since: int = 0) -> list[str]:
    with running.owner() as owner:
        return [each["message"] for each in owner.get(f"{BASE}/logs/{job}?since_ms={since}").json()]


def test_a_job_runs_for_every_input(batching: Running) -> None:
    """Plain inputs are the first parameter, dicts are named ones; results come in order, without a token."""
    job = begin(batching, step([1, 2, {"n": 3}]), name="three").json()
    assert (job["job_name"], job["status"], job["terminal_status"], job["total_tasks"]) == (
        "three",
        "running",
        False,
        3,
    )
    done = ended(batching, job["job_id"])
    assert (done["status"], done["terminal_status"], done["finished_tasks"]) == ("completed", True, 3)
    with batching.owner() as owner, batching.client() as client:
        results = owner.get(f"{BASE}/run/by-id/{job['job_id']}/results").json()
        assert [each["name"] for each in results] == [f"{n}{end}" for n in range(3) for end in ("", ".metadata")]
        tables = [client.get(each["url"]) for each in results[::2]]
        assert [int(pd.read_parquet(io.BytesIO(each.content)).n[0]) for each in tables] == [1, 2, 3]
        assert {each.headers["content-type"] for each in tables} == {"application/octet-stream"}
        said = client.get(results[1]["url"]).json()
        assert (said["stdout"], said["stderr"]) == ("computing 1\n", "of 1\n")
        for wrong in (
            results[0]["url"][:-1] + "!",
            results[0]["url"].replace("/0?", "/1?"),
            results[0]["url"].split("?")[0],
        ):
            assert client.get(wrong).status_code == 404
    assert {"[1] computing 2", "[1] of 2"} <= set(log(batching, job["job_id"]))
    assert log(batching, job["job_id"], int(time.time() * 1000) + 5000) == []


def test_a_job_of_one_of_a_sources_functions(batching: Running) -> None:
    """The one that is named; a name that none has starts nothing."""
    code = SOURCE + "\n@fused.udf\ndef other(n: int = 1): return udf(n=n + 1)\n"
    job = step([1], code)
    job["udf"]["entrypoint"] = "other"
    begun = begin(batching, job).json()["job_id"]
    assert ended(batching, begun)["status"] == "completed"
    assert "[0] computing 2" in log(batching, begun)
    job["udf"]["entrypoint"] = "none"
    refused = begin(batching, job)
    assert (refused.status_code, "no function 'none'" in refused.json()["detail"]) == (422, True)


def test_one_failure_ends_a_job(batching: Running) -> None:
    job = begin(batching, step([13, *range(100, 140)])).json()["job_id"]
    done = ended(batching, job)
    assert (done["status"], done["finished_job_status"]) == ("failed", True)
    assert done["finished_tasks"] < 40
    assert "[0] ERROR: ValueError: unlucky (line 9)" in log(batching, job)


def test_a_job_may_go_on_behind_failures(batching: Running) -> None:
    job = begin(batching, step([13, 2], ignore_chunk_error=True)).json()["job_id"]
    done = ended(batching, job)
    assert (done["status"], done["finished_tasks"]) == ("completed", 2)


def test_tasks_that_end_at_once_are_all_counted(batching: Running) -> None:
    """How the job stands is written by one of them after the other."""
    job = begin(batching, step(list(range(200, 300)))).json()["job_id"]
    done = ended(batching, job)
    assert (done["status"], done["finished_tasks"]) == ("completed", 100)


def test_a_job_has_more_time_than_a_file(batching: Running) -> None:
    job = begin(batching, step([{"wait": 1.5}])).json()["job_id"]
    assert ended(batching, job)["status"] == "completed"


def test_a_cancelled_job_stops(batching: Running) -> None:
    job, began = begin(batching, step([{"wait": 30}])).json()["job_id"], time.monotonic()
    with batching.owner() as owner:
        assert owner.post(f"{BASE}/run/by-id/{job}/cancel").status_code == 200
    assert ended(batching, job)["status"] == "cancelled"
    assert time.monotonic() - began < 5


def test_what_is_given_to_all_tasks_is_kept_once(batching: Running) -> None:
    """However large it is, and however many the tasks are."""
    before, large = memory(batching.process.pid), list(range(150_000))
    made = begin(batching, step(list(range(1000))) | {"udf": {"code": SOURCE, "parameters": {"wait": 30, "x": large}}})
    assert memory(batching.process.pid) < before + 200 * 10**6
    with batching.owner() as owner:
        owner.post(f"{BASE}/run/by-id/{made.json()['job_id']}/cancel")


def test_who_reads_a_result_slowly_holds_none_of_it(batching: Running) -> None:
    """It is sent from its file, piece by piece."""
    code = "@fused.udf\ndef udf():\n    import numpy as np\n    return np.random.default_rng(0).random(4_000_000)\n"
    job = begin(batching, step(None, code)).json()["job_id"]
    assert ended(batching, job)["status"] == "completed"
    with batching.owner() as owner, contextlib.ExitStack() as readers:
        url = urlsplit(owner.get(f"{BASE}/run/by-id/{job}/results").json()[0]["url"])
        before, asked = (
            memory(batching.process.pid),
            f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n",
        )
        for _ in range(8):
            reader = readers.enter_context(socket.create_connection((url.hostname, url.port), 20))
            reader.sendall(asked.encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
        assert memory(batching.process.pid) < before + 100 * 10**6


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_jobs_are_listed_by_page_and_for_their_account_only(batching: Running) -> None:
    job = begin(batching, step(None)).json()["job_id"]
    ended(batching, job)
    stranger = {"Authorization": f"Bearer {second_account(batching)}"}
    with batching.owner() as owner, batching.client() as client:
        assert owner.get(f"{BASE}/job/self?limit=1").json()[0]["job_id"] == job
        assert owner.get(f"{BASE}/job/self?skip=1000").json() == []
        assert client.get(f"{BASE}/job/self", headers=stranger).json() == []
        config = owner.get(f"{BASE}/job/by-id/{job}/config")
        assert config.status_code == 302
        assert client.get(config.headers["location"]).json()["steps"][0]["udf"]["code"] == SOURCE
        for path in (f"run/by-id/{job}", f"run/by-id/{job}/results", f"logs/{job}", f"job/by-id/{job}/config"):
            assert client.get(f"{BASE}/{path}").status_code == 401
            assert client.get(f"{BASE}/{path}", headers=stranger).status_code == 404
            assert owner.get(f"{BASE}/{path.replace(job, str(uuid.uuid4()))}").status_code == 404


def test_tasks_are_calls(batching: Running) -> None:
    """Counted with their failures and the time that they took, under the account's own id."""

    def counts() -> dict[str, Any]:
        with batching.owner() as owner:
            return dict(owner.get("/api/v1/usage?days=1").json())

    before = counts()
    ended(batching, begin(batching, step([{"wait": 0.2}, 13, 2], ignore_chunk_error=True)).json()["job_id"])
    after = counts()
    assert [after[name] - before[name] for name in ("calls", "failures", "cached")] == [3, 1, 0]
    assert after["ms"] - before["ms"] > 200
    with batching.owner() as owner:
        [account] = [each["id"] for each in owner.get("/api/v1/accounts").json() if each["handle"] == "owner"]
    assert [day["udf_id"] for day in after["days"] if not day["token_id"]] == [account]


@pytest.mark.parametrize("steps", [[], [step([1]) | {"type": "partition_geospatial"}], [step([1], code="x = 1")]])
def test_what_is_no_job_is_refused(batching: Running, steps: list[dict[str, Any]]) -> None:
    assert begin(batching, *steps).status_code == 422


@pytest.mark.slow
def test_a_job_whose_server_has_died_is_a_failed_one(tmp_path: Path) -> None:
    """Nobody is at it any more, and whoever comes next on that folder can tell."""
    script = min(UDFS.glob("*.py"))
    with serving(script, data=tmp_path / "data") as running:
        job = begin(running, step([{"wait": 60}])).json()["job_id"]
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
    with serving(script, data=tmp_path / "data") as running:
        assert ended(running, job)["status"] == "failed"
