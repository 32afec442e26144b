"""What an owner sees of what his functions were asked for."""

from collections.abc import Iterator
from typing import Any

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
