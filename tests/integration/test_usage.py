"""What an owner sees of what his functions were asked for, and how he caps it."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from server import Running, second_account, serving

SOURCE = """
from tileserver import udf

@udf(kind="document")
def talks(n: int = 1):
    print("n is", n)
    if n == 13:
        raise ValueError("unlucky")
    return "hello"
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("counting")
    (folder / "talks.py").write_text(SOURCE)
    with serving(folder / "talks.py", data=folder / "data") as running:
        yield running


def seen(running: Running, path: str) -> dict[str, Any]:
    """What the owner is told."""
    with running.owner() as owner:
        return dict(owner.get(path).raise_for_status().json())


def test_every_call_counts_once(counting: Running) -> None:
    """Whether a function ran for it, memory had it, it was the same as a moment ago, or it failed."""
    token = counting.token("talks")
    before = seen(counting, "/api/v1/udf/talks/usage")
    with counting.client() as client:
        answers = [client.get(f"/files/{token}?n=2") for _ in range(20)]
        failures = [client.get(f"/files/{token}?n=13") for _ in range(3)]
        assert client.get(f"/files/{token}?n=x").status_code == 422, "which nobody pays for"
    assert [each.status_code for each in answers + failures] == [200] * 20 + [422] * 3
    after = seen(counting, "/api/v1/udf/talks/usage")
    assert [after[name] - before[name] for name in ("calls", "failures", "cached")] == [23, 3, 19]
    assert after["bytes"] - before["bytes"] == sum(int(each.headers["content-length"]) for each in answers)
    assert after["ms"] > 0
    assert {day["udf_id"] for day in after["days"]} == {seen(counting, "/api/v1/usage")["days"][0]["udf_id"]}
    month = seen(counting, "/server/v1/execution-env/self/realtime/usage")
    assert month["calls_total"] == month["calls_success"] + month["calls_error"] >= 23


def test_the_catalogue_tells_the_counts(counting: Running) -> None:
    """Of the last thirty days, to who is signed in."""
    with counting.client() as browser:
        assert browser.get(f"/files/{counting.token('talks')}?n=13").status_code == 422
        assert "failed" not in browser.get("/").text
        browser.get(counting.wait_for(r"sign in +(http\S+)")[1])
        page = browser.get("/").text
    told = seen(counting, "/api/v1/udf/talks/usage")
    assert re.search(
        rf"{told['calls']} calls? in 30 days · {told['failures']} failed · {told['cached']} cached · ", page
    )


def test_the_log_of_runs_is_paged(counting: Running) -> None:
    """In the order of time and against it, each run once."""
    token = counting.token("talks")
    with counting.client() as client:
        for n in range(100, 107):
            client.get(f"/files/{token}?n={n}")
    for forward in ("true", "false"):
        found, page = [], ""
        while page is not None:
            answer = seen(counting, f"/server/v1/log/self?limit=3&scan_forward={forward}&page_token={page}")
            found += answer["items"]
            page = answer["next_page_token"]
        numbers = [each["udf_data"]["parameters"]["n"] for each in found]
        assert [n for n in numbers if n >= 100] == sorted(range(100, 107), reverse=forward == "false")
        assert len({each["id"] for each in found}) == len(found)
    last = found[0]
    assert (last["udf_name"], last["stdout"]) == ("talks", "n is 106\n")
    assert seen(counting, f"/server/v1/log/by-id/{last['id']}")["items"] == [last]
    assert seen(counting, "/server/v1/log/by-udf-name/talks")["items"]
    assert seen(counting, f"/server/v1/log/by-udf-id/{last['udf_id']}?end_timestamp=2001-01-01")["items"] == []


def test_others_see_nothing_of_it(counting: Running) -> None:
    stranger = {"Authorization": f"Bearer {second_account(counting)}"}
    with counting.client() as client:
        for path in ("/api/v1/usage", "/server/v1/log/self"):
            assert client.get(path).status_code == 401
        assert client.get("/api/v1/usage", headers=stranger).json()["calls"] == 0
        assert client.get("/server/v1/log/self", headers=stranger).json()["items"] == []
        assert client.get("/api/v1/udf/talks/usage", headers=stranger).status_code == 404


@pytest.mark.parametrize(
    "path", ["/api/v1/usage?days=0", "/api/v1/usage?days=x", "/server/v1/log/self?limit=-1", "/server/v1/log/by-id/x"]
)
def test_what_is_no_number_is_refused(counting: Running, path: str) -> None:
    with counting.owner() as owner:
        assert owner.get(path).status_code == 422


def test_the_log_of_runs_ends_where_it_was_said(counting: Running) -> None:
    """Also at the beginning of time; what is amiss is named."""
    with counting.client() as client:
        client.get(f"/files/{counting.token('talks')}?n=200")
    assert seen(counting, "/server/v1/log/self")["items"]
    assert seen(counting, "/server/v1/log/self?end_timestamp=1970-01-01T00:00:00")["items"] == []
    with counting.owner() as owner:
        for name in ("limit", "page_token", "start_timestamp"):
            assert f"'{name}' should be" in owner.get(f"/server/v1/log/self?{name}=x").json()["detail"]


OWNER, TOKENS = "/api/v1/accounts/owner@localhost", "/server/v1/udf-access-token"


@contextlib.contextmanager
def capped(running: Running, calls: int) -> Iterator[None]:
    """The owner may have so many more calls today."""
    with running.owner() as owner:
        cap = seen(running, "/api/v1/usage?days=1")["calls"] + calls
        assert owner.post(OWNER, json={"calls_per_day": cap}).json()["calls_per_day"] == cap
        assert seen(running, "/api/v1/usage")["calls_per_day"] == cap
        yield
        assert owner.post(OWNER, json={"calls_per_day": 0}).json()["calls_per_day"] is None


def token_with(running: Running, calls: int | None) -> str:
    """Another token with a cap."""
    with running.owner() as owner:
        made = owner.post(f"{TOKENS}/new", json={"udf_slug": "talks", "calls_per_day": calls}).json()
    assert made["calls_per_day"] == calls
    return str(made["token"])


def asked(running: Running, path: str, times: int) -> list[int]:
    """What so many at once are answered; `{}` in the path makes each another one."""
    with running.client() as client, ThreadPoolExecutor(8) as pool:
        return sorted(each.status_code for each in pool.map(client.get, map(path.format, range(times))))


def test_a_token_answers_no_more_calls_than_its_cap(counting: Running) -> None:
    """Cached or not, failed or not, on every route; then 429 until midnight, and nothing is counted any more."""
    token, others = token_with(counting, 20), counting.token("talks")
    with counting.client() as client, counting.owner() as owner:
        assert [client.get(f"/files/{token}?n={n}").status_code for n in (50, 50, 13, "x")] == [200, 200, 422, 422]
        assert client.get(f"/tiles/{token}/map").status_code == 200, "which is no call"
        assert asked(counting, f"/files/{token}?n=50", 8) == [200] * 8
        assert asked(counting, f"/files/{token}?n=5{{}}", 30) == [200] * 9 + [429] * 21
        for path in (f"/files/{token}", f"/tiles/{token}/0/0/0", f"/server/v1/realtime-shared/{token}/run/file"):
            refused = client.get(path)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
            assert refused.json()["detail"].startswith("This token ")
            assert 0 < int(refused.headers["retry-after"]) <= 86_400
            assert refused.headers["access-control-allow-origin"] == "*"
            assert refused.headers["cache-control"] == "no-store"
        assert "This token " in refused.headers["x-fused-error"]
        assert client.get(f"/files/{others}?n=50").status_code == 200
        manage = f"{TOKENS}/by-token/{token}"
        assert owner.post(manage, json={"calls_per_day": None, "client_id": "c"}).json()["calls_per_day"] == 20
        assert owner.post(manage, json={"calls_per_day": 22}).json()["calls_per_day"] == 22
        assert asked(counting, f"/files/{token}?n=50", 5) == [200] * 2 + [429] * 3
        assert owner.post(manage, json={"calls_per_day": 0}).json()["calls_per_day"] is None
        assert asked(counting, f"/files/{token}?n=50", 5) == [200] * 5
        for wrong in (-1, 1.5, "many", 10**13):
            assert owner.post(manage, json={"calls_per_day": wrong}).status_code == 422
    assert 27 in [day["calls"] for day in seen(counting, "/api/v1/udf/talks/usage?days=1")["days"]]


def test_an_account_answers_no_more_calls_than_its_cap(counting: Running) -> None:
    """By token, by name, with its source, and in batch jobs; its own calls too."""
    token, runs = counting.token("talks"), "/server/v1/realtime/x/api/v1/run/udf"
    config = {"udf": {"name": "own", "code": SOURCE, "headers": [], "parameters": {}}}
    posted = {"step_config": json.dumps(config), "format": "txt"}
    job = {"config": {"steps": [{"type": "udf", "input": [1, 2, 3], **config}]}}
    with capped(counting, 4), counting.owner() as owner, counting.client() as client:
        assert client.get(f"/files/{token}?n=60").status_code == 200
        assert owner.get(f"{runs}/saved/owner@localhost/talks?n=60").status_code == 200
        assert owner.post(runs, json=posted).status_code == 200
        begun = owner.post("/server/v1/run", json=job).json()["job_id"]
        until = time.monotonic() + 30
        while (status := owner.get(f"/server/v1/run/by-id/{begun}").json()["status"]) == "running":
            assert time.monotonic() < until
        assert status == "failed"
        said = [each["message"] for each in owner.get(f"/server/v1/logs/{begun}").json()]
        assert [line for line in said if "The account" in line]
        assert len([line for line in said if "done in" in line]) == 1
        for refused in (
            client.get(f"/files/{token}?n=60"),
            owner.get(f"{runs}/saved/owner@localhost/talks"),
            owner.post(runs, json=posted),
        ):
            assert (refused.status_code, refused.json()["detail"][:12]) == (429, "The account ")
    assert httpx.get(f"{counting.url}/files/{token}?n=60").status_code == 200


@contextlib.contextmanager
def second(first: Running) -> Iterator[Running]:
    """Another server on the data of the first, which stays the one that commands speak to."""
    kept = (first.data / "credentials.json").read_bytes()
    with serving(first.data.parent / "talks.py", data=first.data, arguments=("--trust-authors",)) as running:
        yield running
    (first.data / "credentials.json").write_bytes(kept)


def test_processes_share_a_cap(counting: Running) -> None:
    """What one has written counts for the next; a server that starts later has forgotten nothing."""
    token, url = token_with(counting, 20), counting.url
    assert asked(counting, f"/files/{token}?n=70", 15) == [200] * 15
    seen(counting, "/api/v1/usage")  # which writes
    with second(counting) as other:
        assert asked(other, f"/files/{token}?n=70", 15) == [200] * 5 + [429] * 10
        seen(other, "/api/v1/usage")
        until = time.monotonic() + 10
        while httpx.get(f"{url}/files/{token}?n=x").status_code != 429:
            assert time.monotonic() < until
