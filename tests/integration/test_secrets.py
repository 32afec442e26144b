"""Secrets: an account's own, for its functions; over HTTP and as typed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server import Running, serving

SECRETS = "/server/v1/realtime/any/api/v1/secrets"
READS = """
import gc
from tileserver import udf
from tileserver.jobs import Source

def known():
    return next(each for each in gc.get_objects() if isinstance(each, Source)).secrets

AT_IMPORT = known().get("KEY")

@udf(cache_max_age=0)
def reads(fails: bool = False):
    if fails:
        print("used", known()["KEY"])
        raise ValueError("no access with " + known()["KEY"])
    return {"now": known(), "at import": AT_IMPORT}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With two processes: one has the workers, either may be asked."""
    data = tmp_path_factory.mktemp("secrets") / "data"
    with serving(data=data, arguments=("--processes", "2")) as server:
        yield server


def publish(client: httpx.Client) -> str:
    """A shared token of a function that tells its secrets."""
    content = json.dumps({"code": READS})
    client.post("/server/v1/udf/new", json={"slug": "reads", "udf_body": content}).raise_for_status()
    made = client.post("/server/v1/udf-access-token/new", json={"udf_slug": "reads", "expose_errors": True})
    return str(made.json()["token"])


def test_a_secret_is_put_read_listed_and_deleted(owner: httpx.Client) -> None:
    """Each answer is the value, as the SDK has it, and is kept nowhere on its way."""
    for value in ("v", "ä\n" * 5, ""):
        for answer in (
            owner.put(f"{SECRETS}/k", json={"value": value}),
            owner.get(f"{SECRETS}/k"),
            owner.get(SECRETS.replace("any", "fused") + "/k"),
        ):
            assert (answer.status_code, answer.json()) == (200, value)
            assert answer.headers["cache-control"] == "no-store"
    owner.put(f"{SECRETS}/other", json={"value": "w"})
    assert owner.get(SECRETS).json() == {"k": "", "other": "w"}
    assert owner.delete(f"{SECRETS}/other").json() == "w"
    assert owner.delete(f"{SECRETS}/k").json() == ""
    for method in ("GET", "DELETE"):
        gone = owner.request(method, f"{SECRETS}/k")
        assert (gone.status_code, gone.json()["detail"]) == (404, "Secret not found")
    assert owner.get(SECRETS).json() == {}


def test_what_cannot_be_a_secret(owner: httpx.Client) -> None:
    """Refused without saying what it was."""
    for key, body in (("k", {"value": 5}), ("k", {}), ("1k", {"value": "x"}), ("k", {"value": "x" * 70_000})):
        answer = owner.put(f"{SECRETS}/{key}", json=body)
        assert answer.status_code == 422
        assert "xx" not in answer.text
    assert owner.get(SECRETS).json() == {}


def test_each_account_has_its_own(running: Running, owner: httpx.Client, other: httpx.Client) -> None:
    """For the other it is not there, for strangers and shared tokens nothing is; its functions have nobody else's."""
    owner.put(f"{SECRETS}/KEY", json={"value": "the owner's"})
    other.put(f"{SECRETS}/KEY", json={"value": "the other's"})
    other.put(f"{SECRETS}/MINE", json={"value": "the other's too"})
    assert owner.get(f"{SECRETS}/MINE").status_code == 404
    assert owner.get(f"{SECRETS}/KEY").json() == "the owner's"
    tokens = publish(owner), publish(other)
    with running.client() as stranger:
        for headers in ({}, {"Authorization": f"Bearer {tokens[0]}"}):
            for path in ("", "/KEY"):
                assert stranger.get(SECRETS + path, headers=headers).status_code == 401
        for _ in range(2):
            told = [stranger.get(f"/files/{token}.json").json() for token in tokens]
            assert told[0] == {"now": {"KEY": "the owner's"}, "at import": "the owner's"}
            assert told[1]["now"] == {"KEY": "the other's", "MINE": "the other's too"}


def test_a_change_is_seen_by_the_next_run(running: Running, owner: httpx.Client) -> None:
    """Also by what a module keeps."""
    token = publish(owner)
    with running.client() as client:
        for value in ("first", "second"):
            owner.put(f"{SECRETS}/KEY", json={"value": value})
            for _ in range(4):
                told = client.get(f"/files/{token}.json").json()
                assert told == {"now": {"KEY": value}, "at import": value}
        owner.delete(f"{SECRETS}/KEY")
        assert client.get(f"/files/{token}.json").json() == {"now": {}, "at import": None}


def test_no_error_and_no_log_tells_it(running: Running, owner: httpx.Client) -> None:
    """What a function printed and raised has the key in the value's place; nothing in the data directory has it."""
    owner.put(f"{SECRETS}/KEY", json={"value": "what-nobody-sees"})
    token = publish(owner)
    with running.client() as stranger:
        failure = stranger.get(f"/files/{token}.json?fails=true")
        assert failure.status_code == 422
        assert "no access with <KEY>" in failure.json()["message"]
        assert "what-nobody-sees" not in failure.text
    said, last = "", 0
    while "used" not in said:  # the other process may not have written it yet
        runs = owner.get("/api/v1/udf/reads/logs", params={"after": last, "wait": 20}).json()
        said, last = json.dumps(runs), runs[-1]["id"]
    assert "used <KEY>" in said
    assert "what-nobody-sees" not in said
    files = [path for path in running.data.rglob("*") if path.is_file() and "scratch" not in path.parts]
    assert not [path for path in files if b"what-nobody-sees" in path.read_bytes()]


def typed(data: Path, *arguments: str, entered: str = "") -> str:
    environment = {"TILESERVER_DATA_DIR": str(data), "PATH": "", "COLUMNS": "200", "HOME": str(data)}
    command = (sys.executable, "-m", "tileserver", "secret", *arguments)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, input=entered).stdout


@pytest.mark.slow
def test_secrets_as_typed(running: Running, owner: httpx.Client) -> None:
    """The value comes from standard input; lists have keys only."""
    assert "what-is-typed" not in typed(running.data, "set", "TYPED", entered="what-is-typed\n")
    assert owner.get(f"{SECRETS}/TYPED").json() == "what-is-typed"
    assert "TYPED" in typed(running.data, "list").split()
    assert "what-is-typed" not in typed(running.data, "list") + typed(running.data, "list", "--json")
    typed(running.data, "delete", "TYPED")
    assert "TYPED" not in json.loads(typed(running.data, "list", "--json"))
