"""Several accounts on one server: made by its owner, in teams, each with its own; over HTTP and as typed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server import Running, serving

V1 = "/server/v1"
ACCOUNTS = "/api/v1/accounts"
SAYS = "from tileserver import udf\n@udf\ndef says():\n    return 'SOMETHING'\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that trusts its authors."""
    with serving(data=tmp_path_factory.mktemp("accounts") / "data", arguments=("--trust-authors",)) as running:
        yield running


@pytest.fixture(scope="module")
def owner(shared: Running) -> Iterator[httpx.Client]:
    with shared.owner() as client:
        yield client


@pytest.fixture(scope="module")
def join(shared: Running, owner: httpx.Client) -> Iterator[Callable[..., httpx.Client]]:
    """Makes accounts; gives the client of each."""
    clients = []

    def made(handle: str, **more: Any) -> httpx.Client:
        answer = owner.post(ACCOUNTS, json={"email": f"{handle}@example.org", **more})
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        client = shared.client(headers={"Authorization": f"Bearer {answer.json()['token']}"})
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def anna(join: Callable[..., httpx.Client]) -> httpx.Client:
    return join("anna", team="rivers")


@pytest.fixture(scope="module")
def ben(join: Callable[..., httpx.Client]) -> httpx.Client:
    return join("ben", team="rivers")


@pytest.fixture(scope="module")
def cleo(join: Callable[..., httpx.Client]) -> httpx.Client:
    return join("cleo", name="Cleo C.")


def publish(client: httpx.Client, slug: str, **sharing: bool) -> dict[str, Any]:
    """A function that says its name."""
    content = json.dumps({"code": SAYS.replace("SOMETHING", slug)})
    answer = client.post(f"{V1}/udf/new", json={"slug": slug, "udf_body": content, **sharing})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def slugs(client: httpx.Client, path: str) -> list[str]:
    return [each["slug"] for each in client.get(f"{V1}/udf/{path}").json()]


def test_who_one_is(anna: httpx.Client, ben: httpx.Client, cleo: httpx.Client) -> None:
    """A team is one execution environment, and names it."""
    told = [client.get(f"{V1}/user/self").json() for client in (anna, ben, cleo)]
    assert [(each["email"], each["handle"]) for each in told] == [
        (f"{name}@example.org", name) for name in ("anna", "ben", "cleo")
    ]
    assert told[2]["name"] == "Cleo C."
    environments = [each["execution_environment_id"] for each in told]
    assert environments[0] == environments[1] != environments[2] == told[2]["id"]
    assert anna.get(f"{V1}/execution-env/self").json() == {"id": environments[0], "name": "rivers"}
    assert cleo.get(f"{V1}/execution-env/self").json() == {"id": environments[2], "name": "Cleo C."}


def test_the_environments_token_is_the_accounts(shared: Running, anna: httpx.Client) -> None:
    """A JSON string, another each time."""
    tokens = [anna.get(f"{V1}/execution-env/token").json() for _ in range(2)]
    assert len(set(tokens)) == 2
    with shared.client(headers={"Authorization": f"Fused-Env-Bearer {tokens[0]}"}) as client:
        assert client.get(f"{V1}/user/self").json()["handle"] == "anna"


def test_functions_of_a_team(anna: httpx.Client, ben: httpx.Client, cleo: httpx.Client) -> None:
    """Read, listed and run by all of it, changed by the author; for others they are not there."""
    made = publish(anna, "meander")
    absent = cleo.get(f"{V1}/udf/by-user-email/anna@example.org/by-slug/nothing")
    for path in (
        "by-user-email/anna@example.org/by-slug/meander",
        "by-user-email/anna%40example.org/by-collection/default/by-slug/meander",
        "by-user-handle/anna/by-slug/meander",
        "by-user-handle/team/by-slug/meander",
        "by-user-handle/team/by-collection/default/by-slug/meander",
        "exec-env/self/by-slug/meander",
        "exec-env/self/by-collection/default/by-slug/meander",
        f"by-id/{made['id']}",
    ):
        assert ben.get(f"{V1}/udf/{path}").json() == made, path
        hidden = cleo.get(f"{V1}/udf/{path}")
        assert (hidden.status_code, hidden.content) == (404, absent.content), path
    assert "meander" in slugs(ben, "exec-env/self")
    assert "meander" not in slugs(ben, "self") + slugs(ben, "public") + slugs(cleo, "exec-env/self")
    assert slugs(ben, "exec-env/self?udf_type=app") == []
    runs = f"{V1}/realtime/any/api/v1/run/udf/saved"
    for who in ("anna@example.org", "anna", "team"):
        assert ben.get(f"{runs}/{who}/meander", params={"format": "txt"}).text == "meander"
        assert cleo.get(f"{runs}/{who}/meander").status_code == 404


def test_only_the_author_changes(anna: httpx.Client, ben: httpx.Client, cleo: httpx.Client) -> None:
    """Who sees it is told so; who does not, that it is not there. It stays as it was."""
    made = publish(anna, "delta")
    place = f"{V1}/udf/by-id/{made['id']}"
    change = {"udf_body": made["udf_body"]}
    for client, status in ((ben, 403), (cleo, 404)):
        assert client.post(place, json=change).status_code == status
        assert client.delete(place).status_code == status
        for named in ({"udf_id": made["id"]}, {"udf_email": "anna@example.org", "udf_slug": "delta"}):
            assert client.post(f"{V1}/udf-access-token/new", json=named).status_code == status, named
    assert anna.get(place).json() == made
    assert ben.post(f"{V1}/udf-access-token/new", json={"udf_slug": "delta"}).status_code == 404
    assert anna.post(f"{V1}/udf-access-token/new", json={"udf_slug": "delta"}).status_code == 200


def test_a_function_gets_another_name(shared: Running, cleo: httpx.Client) -> None:
    """It stays the same one, with its tokens; what cannot be published, or is taken, changes nothing."""
    made = publish(cleo, "creek")
    publish(cleo, "beck")
    place = f"{V1}/udf/by-id/{made['id']}"
    token = cleo.post(f"{V1}/udf-access-token/new", json={"udf_slug": "creek"}).json()["token"]
    for slug, body, status in (
        ("beck", made["udf_body"], 409),
        ("a b", made["udf_body"], 422),
        ("burn", json.dumps({"code": "x = 1"}), 422),
    ):
        assert cleo.post(place, json={"slug": slug, "udf_body": body}).status_code == status
        assert cleo.get(place).json() == made
    renamed = cleo.post(place, json={"slug": "burn", "udf_body": made["udf_body"]}).json()
    assert (renamed["id"], renamed["slug"], json.loads(renamed["udf_body"])["name"]) == (made["id"], "burn", "burn")
    assert cleo.get(f"{V1}/udf/by-user-handle/cleo/by-slug/creek").status_code == 404
    with shared.client() as client:
        assert client.get(f"/files/{token}.txt").text == "creek"


def test_public_functions(anna: httpx.Client, cleo: httpx.Client) -> None:
    """Read by everybody who asks for them; found by everybody where they are listed, too; private again at once."""
    listed = publish(anna, "estuary", allow_public_read=True, allow_public_list=True)
    publish(anna, "brook", allow_public_read=True)
    assert (listed["allow_public_read"], listed["owning_user_email"]) == (True, "anna@example.org")
    for path in ("public/by-slug/estuary", "by-user-handle/public/by-collection/default/by-slug/estuary"):
        assert cleo.get(f"{V1}/udf/{path}").json() == listed
    assert cleo.get(f"{V1}/udf/by-user-handle/anna/by-slug/brook").status_code == 200
    assert slugs(cleo, "public") == ["estuary"]
    publish(anna, "estuary", allow_public_read=False, allow_public_list=False)
    assert cleo.get(f"{V1}/udf/public/by-slug/estuary").status_code == 404
    assert slugs(cleo, "public") == []


def test_tokens_say_who_may_read(anna: httpx.Client, cleo: httpx.Client) -> None:
    """Their fields come back as they were said; null leaves them; a token for a team opens nothing to strangers."""
    publish(anna, "lake")
    asked = {"udf_slug": "lake", "public_read": True, "access_scope": "public", "expose_errors": True}
    made = anna.post(f"{V1}/udf-access-token/new", json=asked).json()
    assert {name: made[name] for name in asked if name in made} == {n: v for n, v in asked.items() if n in made}
    assert made["udf_email"] == "anna@example.org"
    manage, run = f"{V1}/udf-access-token/by-token/{made['token']}", f"{V1}/realtime-shared/{made['token']}/run/file"
    assert cleo.get(run, params={"format": "txt"}).text == "lake"
    changed = anna.post(manage, json={"access_scope": "team", "public_read": None, "cache": None}).json()
    assert (changed["access_scope"], changed["public_read"], changed["cache"]) == ("team", True, True)
    assert cleo.get(run).status_code == 404
    assert anna.post(manage, json={"access_scope": "everybody"}).status_code == 422


def test_unknown_disabled_deleted_and_foreign_tokens_are_alike(anna: httpx.Client, cleo: httpx.Client) -> None:
    """The same status and body, for running and for managing; private tokens run nothing."""
    publish(anna, "pond")
    disabled, deleted, foreign = (
        anna.post(f"{V1}/udf-access-token/new", json={"udf_slug": "pond"}).json()["token"] for _ in range(3)
    )
    anna.post(f"{V1}/udf-access-token/by-token/{disabled}", json={"enabled": False})
    anna.delete(f"{V1}/udf-access-token/by-token/{deleted}")
    unknown, private = "fsh_" + "a" * 43, anna.headers["authorization"].removeprefix("Bearer ")
    runs = [
        cleo.get(path.replace("TOKEN", token))
        for token in (unknown, disabled, deleted, private)
        for path in (f"{V1}/realtime-shared/TOKEN/run/file", "/tiles/TOKEN/3/1/2.png", "/files/TOKEN.json")
    ]
    assert {(each.status_code, each.content) for each in runs} == {(404, runs[0].content)}
    managed = [
        cleo.request(method, f"{V1}/{path}/{token}", json={} if method == "POST" else None)
        for token in (unknown, disabled, deleted, foreign, private)
        for method, path in (
            ("GET", "udf-access-token/by-token"),
            ("POST", "udf-access-token/by-token"),
            ("DELETE", "udf-access-token/by-token"),
            ("GET", "udf/shared/by-token"),
        )
    ]
    assert {(each.status_code, each.content) for each in managed} == {(404, managed[0].content)}
    assert anna.get(f"{V1}/udf-access-token/by-token/{foreign}").json()["enabled"] is True


def test_a_token_shows_the_source_to_who_may_see_it(anna: httpx.Client, ben: httpx.Client, cleo: httpx.Client) -> None:
    """It lets others run the function, not read it."""
    made = publish(anna, "spring")
    token = anna.post(f"{V1}/udf-access-token/new", json={"udf_slug": "spring"}).json()["token"]
    place = f"{V1}/udf/shared/by-token/{token}"
    assert [each.get(place).status_code for each in (anna, ben, cleo)] == [200, 200, 404]
    publish(anna, "spring", allow_public_read=True)
    assert cleo.get(place).json()["id"] == made["id"]
    anna.post(f"{V1}/udf-access-token/by-token/{token}", json={"enabled": False})
    assert [each.get(place).status_code for each in (anna, ben, cleo)] == [200, 404, 404]


def test_the_log_of_a_team(anna: httpx.Client, ben: httpx.Client, cleo: httpx.Client) -> None:
    """Has the runs of all its accounts; what was asked, printed and raised is there for the author only."""
    code = "from tileserver import udf\n@udf\ndef gauge(n: int = 1):\n    print('measured', n)\n    return 'x' + 1\n"
    content = {"slug": "gauge", "udf_body": json.dumps({"code": code})}
    made = anna.post(f"{V1}/udf/new", json=content).json()
    step = json.dumps({"udf": {"code": code}})
    for sender in (anna, cleo):
        assert sender.post(f"{V1}/realtime/any/api/v1/run/udf", json={"step_config": step}).status_code == 422
    assert ben.get(f"{V1}/realtime/any/api/v1/run/udf/saved/anna/gauge?n=5").status_code == 422

    def logged(client: httpx.Client, path: str) -> dict[str, dict[str, Any]]:
        answer = client.get(f"{V1}/log/{path}?limit=300").json()
        found = [each for each in answer["items"] if each["user_email"] == "anna@example.org"]
        return {each["udf_name"]: each for each in found}

    seen, own = logged(ben, "exec-env/self"), logged(anna, "exec-env/self")
    for name in ("gauge", ""):
        assert "measured" in own[name]["stdout"]
        assert own[name]["stderr"]
        data = own[name]["udf_data"]
        hidden = {"stdout": None, "stderr": None, "udf_data": data | {"parameters": None}}
        assert seen[name] == own[name] | hidden
    assert (own["gauge"]["udf_id"], own["gauge"]["udf_data"]["parameters"]) == (made["id"], {"n": 5})
    assert ben.get(f"{V1}/log/by-id/{seen['gauge']['id']}").json()["items"] == [seen["gauge"]]
    assert cleo.get(f"{V1}/log/by-id/{seen['gauge']['id']}").status_code == 404
    assert logged(ben, "self") == logged(cleo, "exec-env/self") == {}


def test_a_public_function_is_loaded_by_its_token(
    join: Callable[..., httpx.Client], anna: httpx.Client, ben: httpx.Client
) -> None:
    """Also where another of its name was public before; a private one only runs, except for its author's team."""
    publish(anna, "weir", allow_public_read=True)
    publish(ben, "weir", allow_public_read=True)
    publish(ben, "lock")
    loads = "import fused\n@fused.udf\ndef udf(token: str):\n    return fused.load(token)()\n"
    fred = join("fred")

    def loaded(client: httpx.Client, slug: str) -> httpx.Response:
        token = ben.post(f"{V1}/udf-access-token/new", json={"udf_slug": slug}).json()["token"]
        step = json.dumps({"udf": {"code": loads, "parameters": {"token": token}}})
        return client.post(f"{V1}/realtime/any/api/v1/run/udf", json={"step_config": step, "format": "json"})

    assert loaded(fred, "weir").json() == "weir"
    assert loaded(anna, "lock").json() == "lock"
    assert "not read its code" in loaded(fred, "lock").json()["message"]


def test_what_was_public_is_no_longer_in_others_answers(
    join: Callable[..., httpx.Client], anna: httpx.Client, ben: httpx.Client
) -> None:
    """What rests on it is asked for anew, and finds that it is gone; the team's answers stay."""
    gina, run = join("gina"), f"{V1}/realtime/any/api/v1/run/udf"

    def called(client: httpx.Client, way: str) -> httpx.Response:
        code = f"import fused\n@fused.udf\ndef udf():\n    return fused.{way}"
        step = json.dumps({"udf": {"code": code, "parameters": {}}})
        return client.post(run, json={"step_config": step, "format": "json"})

    for way in ("run('anna/source')", "load('anna/source')()"):
        publish(anna, "source", allow_public_read=True)
        assert [called(each, way).json() for each in (gina, ben)] == ["source", "source"]
        assert called(gina, way).headers["x-cache"] == "HIT"
        publish(anna, "source", allow_public_read=False)
        assert "no UDF of this name" in called(gina, way).json()["message"]
        assert called(ben, way).headers["x-cache"] == "HIT"


@pytest.mark.parametrize(("email", "handle"), [("_.gil@example.org", "gil"), (f"{'h' * 50}@example.org", "h" * 39)])
def test_a_handle_is_made_of_what_can_be_one(owner: httpx.Client, email: str, handle: str) -> None:
    assert owner.post(ACCOUNTS, json={"email": email}).json()["handle"] == handle


def test_a_handle_that_is_taken_is_named(owner: httpx.Client, anna: httpx.Client) -> None:
    """It is another account's, though the address is new."""
    refused = owner.post(ACCOUNTS, json={"email": "anna@example.com"})
    assert refused.json()["detail"] == "Another account has the handle 'anna'; choose one with --handle."


def test_all_tokens_are_for_the_servers_owner(owner: httpx.Client, anna: httpx.Client) -> None:
    """Page after page, until one is empty."""
    publish(anna, "well")
    token = anna.post(f"{V1}/udf-access-token/new", json={"udf_slug": "well"}).json()
    found: list[dict[str, Any]] = []
    while page := owner.get(f"{V1}/udf-access-token/all?skip={len(found)}&limit=2").json():
        found += page
    assert token in found
    assert token not in owner.get(f"{V1}/udf-access-token/self?limit=100").json()
    assert anna.get(f"{V1}/udf-access-token/all").status_code == 403


def test_only_the_owner_manages_accounts(shared: Running, anna: httpx.Client, owner: httpx.Client) -> None:
    """Others are told so, strangers to sign in; nothing has changed."""
    before = owner.get(ACCOUNTS).json()
    with shared.client() as stranger:
        for client, status in ((anna, 403), (stranger, 401)):
            for method, path in (
                ("GET", ""),
                ("POST", ""),
                ("POST", "/anna@example.org"),
                ("POST", "/owner@localhost/tokens"),
                ("DELETE", "/owner@localhost/tokens"),
                ("DELETE", "/nobody@example.org/tokens"),
            ):
                answer = client.request(method, ACCOUNTS + path, json={"email": "x@example.org"})
                assert answer.status_code == status, (method, path)
    assert owner.get(ACCOUNTS).json() == before
    assert "token" not in before[0]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"email": "anna@example.org"}, 409),
        ({"email": "ANNA@example.org", "handle": "another"}, 409),
        ({"email": "another@example.org", "handle": "anna"}, 409),
        ({"email": "another@example.org", "handle": "team"}, 422),
        ({"email": "public@example.org"}, 422),
        ({"email": "another@example.org", "handle": "a/b"}, 422),
        ({"email": "another@example.org", "team": "a b"}, 422),
        ({"email": "another@example.org", "name": "a\nb"}, 422),
        ({"email": "another"}, 422),
        ({"email": "a/b@example.org"}, 422),
        ({"email": "a b@example.org"}, 422),
        ({"email": ""}, 422),
        ({}, 422),
    ],
)
def test_accounts_that_cannot_be(owner: httpx.Client, anna: httpx.Client, wanted: dict[str, str], status: int) -> None:
    """Taken, or with what would mean something else in addresses."""
    before = owner.get(ACCOUNTS).json()
    assert owner.post(ACCOUNTS, json=wanted).status_code == status
    assert owner.get(ACCOUNTS).json() == before


def test_who_is_locked_out_stays_out(shared: Running, owner: httpx.Client, join: Callable[..., httpx.Client]) -> None:
    """All tokens at once; another one lets in again."""
    dora = join("dora")
    assert dora.get(f"{V1}/user/self").status_code == 200
    assert owner.delete(f"{ACCOUNTS}/dora@example.org/tokens").status_code == 200
    assert dora.get(f"{V1}/user/self").status_code == 401
    token = owner.post(f"{ACCOUNTS}/Dora@example.org/tokens").json()["token"]
    with shared.client(headers={"Authorization": f"Bearer {token}"}) as again:
        assert again.get(f"{V1}/user/self").json()["handle"] == "dora"


def typed(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as the server's owner types it."""
    environment = {"TILESERVER_DATA_DIR": str(data), "PATH": "", "COLUMNS": "200", "HOME": str(data)}
    command = (sys.executable, "-m", "tileserver", "account", *arguments)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_accounts_as_typed(shared: Running) -> None:
    """Made, listed, changed, let in and locked out."""
    made = json.loads(typed(shared.data, "create", "Eva@example.org", "--team", "springs", "--json").stdout)
    assert (made["email"], made["handle"], made["name"], made["team"]) == ("eva@example.org", "eva", "eva", "springs")
    with shared.client(headers={"Authorization": f"Bearer {made['token']}"}) as eva:
        assert eva.get(f"{V1}/user/self").json()["email"] == "eva@example.org"
        assert "changed" in typed(shared.data, "update", "eva@example.org", "--team", "", "--name", "Éva").stdout
        capped = json.loads(typed(shared.data, "update", made["email"], "--calls-per-day", "9", "--json").stdout)
        assert (capped["calls_per_day"], capped["name"]) == (9, "Éva")
        assert eva.get("/api/v1/usage").json()["calls_per_day"] == 9
        assert eva.get(f"{V1}/user/self").json()["name"] == "Éva"
        assert "revoked" in typed(shared.data, "token", "eva@example.org", "--revoke").stdout
        assert eva.get(f"{V1}/user/self").status_code == 401
    listed = {each["email"]: each["team"] for each in json.loads(typed(shared.data, "list", "--json").stdout)}
    assert listed["eva@example.org"] is None
    assert "fpt_" in typed(shared.data, "token", "eva@example.org").stdout
    shown = typed(shared.data, "list").stdout
    assert "eva@example.org" in shown
    assert "fpt_" not in shown
    refused = typed(shared.data, "create", "eva@example.org")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_a_second_account_needs_trust_or_isolation(tmp_path: Path) -> None:
    """Refused in one sentence that says what to do, over HTTP, as typed, and at the next start."""
    data = tmp_path / "data"
    with serving(data=data) as alone, alone.owner() as owner:
        refused = owner.post(ACCOUNTS, json={"email": "b@example.org"})
        assert refused.status_code == 409
        said = typed(data, "create", "b@example.org")
        assert said.returncode == 1
        for text in (refused.json()["detail"], said.stderr):
            assert "--isolation strict" in text
            assert "--trust-authors" in text
    with serving(data=data, TILESERVER_TRUST_AUTHORS="true") as trusting, trusting.owner() as owner:
        assert owner.post(ACCOUNTS, json={"email": "b@example.org"}).status_code == 200
    command = (sys.executable, "-m", "tileserver", "serve", "--port", "0", "--data-dir", str(data))
    started = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
    assert started.returncode == 1
    assert "several accounts" in started.stderr
    assert "--trust-authors" in started.stderr
    assert started.stderr.count("\n") == 1
