"""The description holds for a real server: schemathesis finds no fault, and nothing that chance sends breaks it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from generated import Generator, Known
from sending import send
from server import UDFS, Running, second_account, serving

REQUESTS = int(os.environ.get("TILESERVER_GENERATED_REQUESTS", "100000"))
NOT_CHECKED = "positive_data_acceptance"
"""What a schema allows may still be wrong: a source that is none, an address of nobody."""
NOT_CALLED = "delete_api_v1_accounts_email_tokens"
"""Who asks would lock himself out."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that these tests may fill with what they like."""
    paths = [UDFS / f"{name}.py" for name in ("address", "typed", "features", "page", "nothing")]
    data = tmp_path_factory.mktemp("described") / "data"
    with serving(*paths, data=data, arguments=("--trust-authors",)) as running:
        yield running


@pytest.mark.parametrize(
    ("examples", "phases"),
    [
        pytest.param(2, "fuzzing", marks=pytest.mark.timeout(120)),
        pytest.param(100, "coverage,fuzzing,stateful", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_schemathesis_finds_no_fault(running: Running, tmp_path: Path, examples: int, phases: str) -> None:
    """What is answered is what is described; what is not described is refused, and so is who has no credentials."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json", "--warnings", "off"]
    wanted = ["--checks", "all", "--exclude-checks", NOT_CHECKED, "--exclude-operation-id", NOT_CALLED]
    chosen = ["--max-examples", str(examples), "--phases", phases, "--generation-deterministic", "--no-color"]
    key = ["--header", f"Authorization: Bearer {running.private_token}"]
    found = subprocess.run([*command, *wanted, *chosen, *key], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
    check_health(running)  # with the token that asked


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(4_000),
        pytest.param(REQUESTS, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_generated_requests(running: Running, number: int) -> None:
    """Every route, good and odd in every part: no failure of the server's own, and nothing of its inside."""
    check_health(running)
    with running.owner() as owner:
        document, known = owner.get("/openapi.json").json(), made(running, owner)
    generator = Generator(Random(number), document, known, httpx.URL(running.url).netloc.decode())
    began = time.monotonic()
    outcome = send(running.url, generator.requests(number))
    print(f"{number} requests in {time.monotonic() - began:.0f} s: {sorted(outcome.statuses.items())}")
    assert outcome.faults == []
    assert sum(outcome.statuses.values()) == number
    assert {200, 204, 401, 403, 404, 405, 409, 422} <= outcome.statuses.keys()
    check_health(running)


def made(running: Running, owner: httpx.Client) -> Known:
    """Two accounts, and tokens of every sort."""
    udfs = {each["slug"]: each["id"] for each in owner.get("/server/v1/udf/self").json()}

    account = owner.get("/server/v1/user/self").json()["id"]
    shared = owner.post("/server/v1/collection/share", params={"collection_id": account}).json()["share_token"]
    tokens = [shared, minted(owner, "typed"), minted(owner, "address", enabled=False), "fsh_" + "x" * 43]
    readable = [minted(owner, name) for name in udfs]
    names = [*udfs, "nobody"]
    values = {
        "token": tokens,
        "name": names,
        "slug": names,
        "id": [*udfs.values(), account, "0"],
        "collection_id": [account],
        "who": ["owner@localhost", "owner", "team", "public", "b@c"],
        "email": ["x@example.org"],
        "key": ["key", "KEY_2"],
        "client": ["fused"],
        "collection": ["default"],
        "path": ["pages.css", "fd://a/b"],
        "run": ["12345678"],
    }
    return Known([running.private_token, other_token(running)], values, readable)


def minted(owner: httpx.Client, name: str, enabled: bool = True) -> str:
    """A new token of one of the owner's."""
    wanted = {"udf_email": "owner@localhost", "udf_slug": name, "enabled": enabled}
    return str(owner.post("/server/v1/udf-access-token/new", json=wanted).json()["token"])


def other_token(running: Running) -> str:
    """Of the second account, which is there once."""
    kept = running.data.parent / "other-token"
    if not kept.exists():
        kept.write_text(second_account(running))
    return kept.read_text()


def check_health(running: Running) -> None:
    """It lives, it answers a good tile, no worker died, and nothing went wrong unseen."""
    with running.owner() as owner, running.client() as client:
        assert client.get("/livez").status_code == 200
        # which a request that was meant well may have set
        owner.post("/api/v1/accounts/owner@localhost", json={"calls_per_day": 0}).raise_for_status()
        assert client.get(f"/tiles/{minted(owner, 'address')}/3/1/2.png").status_code == 200
        assert "tileserver_worker_deaths_total 0.0" in client.get("/metrics").text
    assert [line for line in running.lines if "Traceback" in line or "failed" in line] == []


def test_a_405_names_every_method_of_an_address(running: Running) -> None:
    """Also of one that several routes make; what no route has is 404, whatever the method."""
    with running.client() as client:
        answer = client.patch("/server/v1/udf/by-id/x")
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")
        assert client.get("/server/v1/udf/new").headers["allow"] == "POST"
        assert client.post("/static/pages.css").headers["allow"] == "GET, HEAD"
        assert client.post("/nowhere").status_code == 404


def test_a_sentence_of_signs_is_an_answer_too(running: Running) -> None:
    """What cannot stand in a header is replaced there, and the body has it."""
    posted = {
        "slug": "a\x1f\r\nb",
        "udf_body": json.dumps({"code": "from tileserver import udf\n@udf\ndef f(): pass\n"}),
    }
    with running.owner() as owner:
        answer = owner.post("/server/v1/udf/new", json=posted)
    assert answer.status_code == 422
    assert "\x1f" in answer.json()["detail"] or "\\x1f" in answer.json()["detail"]
    assert "\x1f" not in answer.headers["x-fused-error"]
