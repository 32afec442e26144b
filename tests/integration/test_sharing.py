"""What opens to some only: tokens of a team and of a collection, its sessions; and what of them ends at once.

On a server of two processes, each of which is asked over a connection of its own.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from server import Running, serving

V1 = "/server/v1"
SHARED = f"{V1}/realtime-shared"
SHADES = """
import numpy as np
from tileserver import udf

@udf(kind="raster")
def shades(level: int = 9):
    return np.full((3, 8, 8), level, "uint8")
"""
ROUTES = (
    f"{SHARED}/TOKEN/run/tiles/3/1/2",
    "/tiles/TOKEN/3/1/2.png",
    f"{SHARED}/TOKEN/run/file?format=png",
    f"{SHARED}/TOKEN/run?format=png",
    "/files/TOKEN.png",
)
SIBLINGS = (
    "/tiles/TOKEN/tilejson.json",
    "/tiles/TOKEN/metadata.json",
    "/tiles/TOKEN/map",
    f"{SHARED}/TOKEN/run/tiles/metadata.json",
    f"{SHARED}/TOKEN/run/tiles/tilejson.json",
)
UNKNOWN = "fsh_" + "a" * 43
Headers = dict[str, str]


class Two(NamedTuple):
    """A server with the clients of three accounts, of which the first two are a team."""

    running: Running
    connections: list[httpx.Client]
    """Without credentials, one to each process."""
    anna: httpx.Client
    ben: httpx.Client
    cleo: httpx.Client


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    arguments = ("--trust-authors", "--processes", "2")
    with serving(data=tmp_path_factory.mktemp("sharing") / "data", arguments=arguments) as running:
        accounts = [_joined(running, "anna", "rivers"), _joined(running, "ben", "rivers"), _joined(running, "cleo")]
        two = Two(running, _connected(running), *accounts)
        _saved(two.anna, "shades", SHADES)
        _saved(two.anna, "other", SHADES.replace("def shades", "def other").replace("= 9", "= 7"))
        yield two
        for client in (*two.connections, *accounts):
            client.close()


def _joined(running: Running, handle: str, team: str | None = None) -> httpx.Client:
    with running.owner() as owner:
        made = owner.post("/api/v1/accounts", json={"email": f"{handle}@example.org", "team": team}).json()
    return running.client(headers={"Authorization": f"Bearer {made['token']}"})


def _connected(running: Running) -> list[httpx.Client]:
    found: dict[str, httpx.Client] = {}
    end = time.monotonic() + 30
    while found.keys() != {"here", "elsewhere"}:
        assert time.monotonic() < end
        client = running.client()
        if found.setdefault(client.get("/readyz").json().get("pool", ""), client) is not client:
            client.close()
        if "" in found:  # it is still starting
            found.pop("").close()
    return list(found.values())


def _saved(client: httpx.Client, slug: str, code: str) -> str:
    answer = client.post(f"{V1}/udf/new", json={"slug": slug, "udf_body": json.dumps({"code": code})})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def token_of(client: httpx.Client, slug: str = "shades", **options: Any) -> str:
    answer = client.post(f"{V1}/udf-access-token/new", json={"udf_slug": slug, **options})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def asked(two: Two, path: str, *, method: str = "GET", headers: Headers | None = None) -> list[httpx.Response]:
    """The answers of each process."""
    return [client.request(method, path, headers=headers) for client in two.connections]


def statuses(two: Two, path: str, **more: Any) -> list[int]:
    return [each.status_code for each in asked(two, path, **more)]


def alike(answers: list[httpx.Response]) -> bool:
    """Whether nothing tells them apart but the time of day."""
    told = {
        (each.status_code, each.content, tuple(sorted((n, v) for n, v in each.headers.items() if n != "date")))
        for each in answers
    }
    return len(told) == 1


def bearer(client: httpx.Client) -> Headers:
    return {"Authorization": client.headers["authorization"]}


def shared(client: httpx.Client, scope: str = "public", passcode: str = "", *, new: bool = True) -> str:
    """The token of the account's collection."""
    found = client.get(f"{V1}/collection/by-name/default").json()
    change = {"name": "default", "access_scope": scope, "passcode": passcode}
    assert client.post(f"{V1}/collection/by-id/{found['id']}", json=change).status_code == 200
    told = client.post(f"{V1}/collection/share", params={"collection_id": found["id"], "new_token": str(new)}).json()
    assert told["access_scope"] == scope
    return str(told["share_token"])


def session_of(client: httpx.Client, token: str, seconds: int = 60) -> str:
    answer = client.post(f"{V1}/session-token/by-access-token/{token}", json={"ttl": seconds})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_token"])


def in_collection(token: str, name: str = "shades", **query: str) -> str:
    return f"{SHARED}/{token}/{name}/run/tiles/3/1/2?{httpx.QueryParams(query)}"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_token_that_ends_is_as_one_that_never_was(two: Two, route: str, how: str) -> None:
    """For every process at its next request, cached answers included: by GET, HEAD, and what is known already."""
    token = token_of(two.anna)
    path, never = route.replace("TOKEN", token), route.replace("TOKEN", UNKNOWN)
    manage = f"{V1}/udf-access-token/by-token/{token}"
    for _ in range(3):  # run, from memory, and once more by its bytes
        opened = asked(two, path)
        assert [each.status_code for each in opened] == [200, 200]
    known = {"If-None-Match": opened[0].headers["etag"]}
    assert statuses(two, path, headers=known) == [304, 304]
    ended = two.anna.post(manage, json={"enabled": False}) if how == "disabled" else two.anna.delete(manage)
    assert ended.status_code == 200
    for method in ("GET", "HEAD"):
        answers = [
            answer
            for headers in ({}, known, bearer(two.cleo), bearer(two.anna))
            for each in (path, never)
            for answer in asked(two, each, method=method, headers=headers)
        ]
        assert answers[0].status_code == 404
        assert alike(answers)


@pytest.mark.parametrize("route", SIBLINGS)
def test_what_is_beside_a_token_ends_with_it(two: Two, route: str) -> None:
    """For every process, whichever way it ended; it never was there where the token is for others."""
    tokens = [token_of(two.anna) for _ in range(2)]
    for token in tokens:
        assert statuses(two, route.replace("TOKEN", token)) == [200, 200]
    manage = f"{V1}/udf-access-token/by-token/"
    two.anna.post(manage + tokens[0], json={"enabled": False}).raise_for_status()
    two.anna.delete(manage + tokens[1]).raise_for_status()
    never = (UNKNOWN, "fc_" + "a" * 64, token_of(two.anna, access_scope="team"), "nothing")
    for method in ("GET", "HEAD"):
        for headers in ({}, bearer(two.cleo)):
            paths = [route.replace("TOKEN", token) for token in (*tokens, *never)]
            answers = [each for path in paths for each in asked(two, path, method=method, headers=headers)]
            assert answers[0].status_code == 404
            assert alike(answers)


def test_a_disabled_token_opens_again(two: Two) -> None:
    """At the next request of every process, too."""
    token = token_of(two.anna)
    path, manage = f"/tiles/{token}/3/1/2.png", f"{V1}/udf-access-token/by-token/{token}"
    for enabled in (True, False, True, False):
        assert two.anna.post(manage, json={"enabled": enabled}).status_code == 200
        assert statuses(two, path) == ([200, 200] if enabled else [404, 404])


@pytest.mark.parametrize("route", ROUTES)
def test_a_teams_token_opens_to_the_team(two: Two, route: str) -> None:
    """To who sends the private token of one of its accounts; to others it is as one that never was."""
    token = token_of(two.anna, access_scope="team", shared_cache=True)
    path, never = route.replace("TOKEN", token), route.replace("TOKEN", UNKNOWN)
    for _ in range(3):
        for member in (two.anna, two.ben):
            answers = asked(two, path, headers=bearer(member))
            assert [each.status_code for each in answers] == [200, 200]
            assert {each.headers["cache-control"].partition(",")[0] for each in answers} == {"private"}
            known = {"If-None-Match": answers[0].headers["etag"]}
        for headers in ({}, known, bearer(two.cleo), {"Authorization": "Bearer nobody"}):
            answers = asked(two, path, headers=headers) + asked(two, never, headers=headers)
            assert answers[0].status_code == 404
            assert alike(answers)


def test_who_leaves_the_team_is_out_at_once(two: Two) -> None:
    """And what is disabled is closed to the team, too."""
    token = token_of(two.anna, access_scope="team")
    path, dora = f"/files/{token}.png", _joined(two.running, "dora", "rivers")
    with dora, two.running.owner() as owner:
        assert statuses(two, path, headers=bearer(dora)) == [200, 200]
        owner.post("/api/v1/accounts/dora@example.org", json={"team": ""}).raise_for_status()
        assert statuses(two, path, headers=bearer(dora)) == [404, 404]
    two.anna.post(f"{V1}/udf-access-token/by-token/{token}", json={"enabled": False}).raise_for_status()
    assert statuses(two, path, headers=bearer(two.ben)) == [404, 404]


def test_a_run_by_name_is_for_who_may_see_it(two: Two) -> None:
    """Nobody else is given what it was answered a moment ago."""
    path = f"{V1}/realtime/any/api/v1/run/udf/saved/anna/shades?format=png"
    for _ in range(3):
        assert statuses(two, path, headers=bearer(two.ben)) == [200, 200]
        assert statuses(two, path) == [401, 401]
        assert statuses(two, path, headers=bearer(two.cleo)) == [404, 404]


def test_a_collections_token_opens_its_udfs_by_name(two: Two) -> None:
    """As tile and file, with and without an extension; those of other accounts and none are not there."""
    token = shared(two.anna)
    assert token.startswith("fc_")
    _saved(two.cleo, "private", SHADES.replace("def shades", "def private"))
    place = f"{SHARED}/{token}"
    for _ in range(3):
        for path in (
            f"{place}/shades/run/tiles/3/1/2",
            f"{place}/shades/run/tiles/3/1/2.webp",
            f"{place}/shades.png/run",
            f"{place}/other/run/file?format=png",
        ):
            answers = asked(two, path)
            assert [each.status_code for each in answers] == [200, 200], path
            assert answers[0].headers["content-type"].startswith("image/")
            assert answers[0].headers["cache-control"].startswith("private")
    closed = [
        f"{place}/private/run",
        f"{place}/nothing/run",
        f"{place}/shades/run/tiles/3/9/2",
        f"{place}/{token_of(two.cleo, 'private')}/run",
        f"{place}/run",
        f"{SHARED}/fc_{'a' * 64}/shades/run",
        f"{SHARED}/{token_of(two.anna)}/shades/run",
    ]
    answers = [answer for path in closed for answer in asked(two, path)]
    assert answers[0].status_code == 404
    assert alike(answers)


@pytest.mark.parametrize("how", ["unshare", "share"])
def test_a_collections_token_ends_at_once(two: Two, how: str) -> None:
    """Taken away, or replaced by a new one: for every process, sessions included."""
    token = shared(two.anna, "team")
    paths = [in_collection(token, fused_session_token=session_of(two.anna, token))]
    for _ in range(3):
        assert [statuses(two, path) for path in paths] == [[200, 200]]
    own = two.anna.get(f"{V1}/collection/by-name/default").json()["id"]
    asking = {"collection_id": own, "new_token": "true"}
    told = two.anna.post(f"{V1}/collection/{how}", params=asking).json()
    assert (told["share_token"] is None) == (how == "unshare")
    for headers in ({}, bearer(two.anna)):
        answers = [answer for path in (*paths, in_collection("fc_x")) for answer in asked(two, path, headers=headers)]
        assert answers[0].status_code == 404
        assert alike(answers)


def test_a_collection_of_a_team_takes_a_session(two: Two) -> None:
    """Or a private token of the team; a session is good for its token only, and for as long as it says."""
    token = shared(two.anna, "team")
    session = session_of(two.ben, token)
    name, until, signature = session.split(":")
    later = ":".join((name, str(int(until) + 1), signature))
    assert 0 < int(until) - time.time() <= 60
    elsewhere = session_of(two.cleo, shared(two.cleo, "team"))
    short = session_of(two.anna, token, 1)
    for _ in range(3):
        assert statuses(two, in_collection(token, fused_session_token=session)) == [200, 200]
        for member in (two.anna, two.ben):
            assert statuses(two, in_collection(token), headers=bearer(member)) == [200, 200]
        answers = [
            answer
            for said in ("", "x", later, elsewhere, f"{name}:{until}:", f"{name}:{until}:{'A' * 43}", session + "x")
            for answer in asked(two, in_collection(token, fused_session_token=said))
        ]
        answers += asked(two, in_collection(token), headers=bearer(two.cleo))
        answers += asked(two, in_collection(token) + "&".join("a" * 300))
        answers += asked(two, in_collection("fc_" + "0" * 64, fused_session_token=session))
        assert answers[0].status_code == 404
        assert alike(answers)
    time.sleep(max(int(short.split(":")[1]) - time.time(), 0))  # until it ends
    assert statuses(two, in_collection(token, fused_session_token=short)) == [404, 404]


def test_who_may_begin_a_session(two: Two) -> None:
    """The collection's account and its team, for a day at most, and where one is needed."""
    token = shared(two.anna, "team")
    place = f"{V1}/session-token/by-access-token"
    absent = two.cleo.post(f"{place}/fc_{'a' * 64}", json={"ttl": 60})
    foreign = two.cleo.post(f"{place}/{token}", json={"ttl": 60})
    assert absent.status_code == foreign.status_code == 404
    assert absent.content == foreign.content
    assert two.connections[0].post(f"{place}/{token}", json={"ttl": 60}).status_code == 401
    alone = shared(two.cleo, "team")
    with two.running.owner() as owner:  # who has no team either
        assert owner.post(f"{place}/{alone}", json={"ttl": 60}).status_code == 404
    for seconds, status in ((0, 422), (86400, 200), (86401, 422), (10**12, 422)):
        assert two.ben.post(f"{place}/{token}", json={"ttl": seconds}).status_code == status
    told = two.anna.post(f"{place}/{token}", json={}).json()
    assert told["token"] == token
    assert int(told["session_token"].split(":")[1]) - time.time() == pytest.approx(3600, abs=20)
    assert two.anna.post(f"{place}/{shared(two.anna, 'public')}", json={}).status_code == 409


@pytest.mark.parametrize("scope", ["public", "team"])
def test_a_passcode(two: Two, scope: str) -> None:
    """Opens what the token alone does not any more; after some wrong ones the right one has to wait."""
    token = shared(two.anna, scope, "open sesame")
    path = in_collection(token)

    def said(passcode: str) -> Headers:
        return {"Authorization": f"Fused-Canvas-Passcode {passcode}"}

    assert statuses(two, path, headers=said("open sesame")) == [200, 200]
    assert statuses(two, path, headers=bearer(two.ben)) == [200, 200]
    assert statuses(two, in_collection(token, fused_session_token=session_of(two.anna, token))) == [200, 200]
    never = in_collection("fc_" + "a" * 64)
    for headers in ({}, said("open"), said("open sesame!"), bearer(two.cleo)):
        answers = asked(two, path, headers=headers) + asked(two, never, headers=headers)
        assert answers[0].status_code == 404
        assert alike(answers)
    guessing = two.connections[0]
    for _ in range(45):  # two minutes may be begun
        guessing.get(path, headers=said("a guess"))
    assert guessing.get(path, headers=said("open sesame")).status_code == 404
    assert guessing.get(path, headers=bearer(two.anna)).status_code == 200


def test_who_may_change_a_collection(two: Two) -> None:
    """Its account; for others it is not there, its passcode least of all."""
    token = shared(two.anna, "team", "open sesame")
    own = two.anna.get(f"{V1}/collection/by-name/default").json()
    assert (own["share_token"], own["passcode"], own["access_scope"]) == (token, "open sesame", "team")
    assert two.anna.get(f"{V1}/collection/by-id/{own['id']}").json() == own
    assert two.anna.get(f"{V1}/collection/self/lite").json() == [own]
    assert two.anna.get(f"{V1}/collection/self?skip=1").json() == []
    change = {"name": "default", "access_scope": "public"}
    for client, status in ((two.ben, 404), (two.cleo, 404), (two.connections[0], 401)):
        for method, path in (
            ("GET", f"collection/by-id/{own['id']}"),
            ("POST", f"collection/by-id/{own['id']}"),
            ("POST", f"collection/share?collection_id={own['id']}"),
            ("POST", f"collection/unshare?collection_id={own['id']}"),
        ):
            answer = client.request(method, f"{V1}/{path}", json=change if method == "POST" else None)
            assert answer.status_code == status, (method, path)
    place = f"{V1}/collection/by-id/{own['id']}"
    for wanted, status in (({"name": "mine"}, 409), ({"passcode": "short"}, 422), ({"access_scope": "all"}, 422)):
        assert two.anna.post(place, json=change | wanted).status_code == status
    assert two.anna.get(place).json() == own
    assert shared(two.anna, "team", new=False) == token


def test_a_function_that_fails_behind_a_collection(two: Two) -> None:
    """Says why to its author only, and each run counts as one of its own."""
    token = shared(two.anna)
    _saved(two.anna, "fails", 'from tileserver import udf\n@udf\ndef fails():\n    raise ValueError("no such river")\n')
    path = f"{SHARED}/{token}/fails/run"
    for headers in ({}, bearer(two.ben)):
        failed = asked(two, path, headers=headers)[0]
        assert failed.status_code == 422
        assert "river" not in failed.text + failed.headers["x-fused-metadata"]
    assert "river" in asked(two, path, headers=bearer(two.anna))[0].headers["x-fused-metadata"]
    counts = asked(two, "/api/v1/udf/fails/usage", headers=bearer(two.anna))  # each process writes its own, then reads
    assert counts[-1].json()["failures"] == 3 * len(two.connections)


def _posted(two: Two, path: str) -> Callable[[Headers], httpx.Response]:
    body = {"step_config": json.dumps({"udf": {"code": "@fused.udf\ndef udf():\n    return 1\n"}})}
    return lambda headers: two.anna.post(path, json=body, headers=headers)


def test_too_deep_a_chain(two: Two) -> None:
    """A run whose caller says that it is deeper than functions may call each other is refused, in every way to run."""
    token, runs = token_of(two.anna), f"{V1}/realtime/any/api/v1/run/udf"
    job = {"config": {"name": "a", "steps": [{"type": "udf", "udf": {"code": "def f(): ..."}}]}}
    ways: list[Callable[[Headers], httpx.Response]] = [
        lambda headers: two.anna.get(f"{SHARED}/{token}/run/file?level={len(headers)}", headers=headers),
        lambda headers: two.anna.get(f"{runs}/saved/anna/shades?level=3", headers=headers),
        _posted(two, runs),
        _posted(two, f"{runs}/start"),
    ]
    for way in ways:
        for depth in ("6", "99999999999999999999"):
            refused = way({"Fused-Recursion": depth})
            assert refused.status_code == 422
            told = json.loads(refused.headers["x-fused-metadata"])
            assert told["has_exception"] is True
            assert "calls go deeper than 5" in told["errormsg"]
            assert "calls go deeper than 5" in refused.json()["detail"]
        for depth in ("5", "1", "x", ""):
            assert way({"Fused-Recursion": depth}).status_code == 200
    assert two.anna.post(f"{V1}/run", json=job, headers={"Fused-Recursion": "6"}).status_code == 422
