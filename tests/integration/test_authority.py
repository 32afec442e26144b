"""Whom a function reaches by `run`: its own account's UDFs by name, and what a shared token opens; nobody else's."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from server import Running, second_account, serving

ASKS = """
from tileserver import CallError, run, udf

@udf(cache_max_age=0)
def asks(name: str = "", reset: int = 0):
    try:
        return {"told": run(name)}
    except CallError as error:
        return {"cause": error.cause, "message": str(error)}
"""
SAYS = "from tileserver import udf\n@udf\ndef says(of: str = ''):\n    return 'of OWNER' + of\n"
UNKNOWN = "there is no UDF of this name"


class Two(NamedTuple):
    """A server with two accounts, of which each has functions named `asks` and `says`."""

    server: Running
    first: httpx.Client
    second: httpx.Client
    second_private: str
    """The second account's private token."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("authority")
    with serving(data=folder / "data") as server, server.owner() as first:
        private = second_account(server)
        with server.client(headers={"Authorization": f"Bearer {private}"}) as second:
            assert second.get("/server/v1/user/self").json()["email"] == "b@c"
            for owner, name in ((first, "the first"), (second, "the second")):
                publish(owner, "asks", ASKS)
                publish(owner, "says", SAYS.replace("OWNER", name))
            yield Two(server, first, second, private)


def publish(owner: httpx.Client, slug: str, code: str) -> None:
    answer = owner.post("/server/v1/udf/new", json={"slug": slug, "udf_body": json.dumps({"code": code})})
    assert answer.status_code == 200, answer.text


def share(owner: httpx.Client, slug: str) -> str:
    """A new shared token of the account's UDF."""
    answer = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": slug})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def told(two: Two, owner: httpx.Client, name: str) -> Any:
    """What the account's `asks` makes of `run(name)`, asked for by a stranger with a shared token of it."""
    with two.server.client() as stranger:
        answer = stranger.get(f"/files/{share(owner, 'asks')}.json", params={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_unknown(answer: Any) -> None:
    """Not found, in words that tell nothing of why."""
    assert answer["cause"] == "not_found"
    assert answer["message"].endswith(UNKNOWN)


def test_a_name_is_the_accounts_own(two: Two) -> None:
    """Both have a function of that name; each reaches its own, in whatever order they are asked."""
    for _ in range(2):
        assert told(two, two.first, "says") == {"told": "of the first"}
        assert told(two, two.second, "says") == {"told": "of the second"}


def test_who_asks_changes_nothing(two: Two) -> None:
    """The authority is the function's account, not that of the one who asks for a tile of it."""
    token = share(two.first, "asks")
    for client in (two.first, two.second):
        assert client.get(f"/files/{token}.json", params={"name": "says"}).json() == {"told": "of the first"}


def test_a_name_of_another_account_only_is_unknown(two: Two) -> None:
    """As if it were not there; with the very words for what nobody has."""
    publish(two.second, "theirs", SAYS.replace("OWNER", "the second"))
    assert told(two, two.second, "theirs") == {"told": "of the second"}
    seen = [told(two, two.first, name) for name in ("theirs", "nobodys")]
    for answer in seen:
        check_unknown(answer)
    assert seen[0]["message"].replace("theirs", "") == seen[1]["message"].replace("nobodys", "")


def test_a_shared_token_opens_its_udf_for_every_account(two: Two) -> None:
    """Whoever has it may use it: that is what it is for."""
    token = share(two.second, "says")
    assert told(two, two.first, token) == {"told": "of the second"}
    assert told(two, two.second, token) == {"told": "of the second"}


def test_a_disabled_token_opens_nothing(two: Two) -> None:
    """Not even for its own account; enabled again it does, deleted it never does."""
    token = share(two.second, "says")
    manage = f"/server/v1/udf-access-token/by-token/{token}"
    assert told(two, two.first, token) == {"told": "of the second"}
    two.second.post(manage, json={"enabled": False}).raise_for_status()
    for owner in (two.first, two.second):
        check_unknown(told(two, owner, token))
    two.second.post(manage, json={"enabled": True}).raise_for_status()
    assert told(two, two.first, token) == {"told": "of the second"}
    two.second.delete(manage).raise_for_status()
    check_unknown(told(two, two.first, token))


def test_a_private_token_is_no_name(two: Two) -> None:
    """Neither one's own nor another's; nor what else names a UDF elsewhere."""
    udf_id = next(each["id"] for each in two.second.get("/server/v1/udf/self").json() if each["slug"] == "says")
    for name in (two.second_private, two.server.private_token, udf_id, "a2/says", ""):
        for owner in (two.first, two.second):
            check_unknown(told(two, owner, name))


def test_a_name_may_say_whose_it_is(two: Two) -> None:
    """One's own by e-mail address and handle; another's is not there, as if nobody had it."""
    for name in ("b@c/says", "b/says"):
        assert told(two, two.second, name) == {"told": "of the second"}
        check_unknown(told(two, two.first, name))


LOADS = """
import fused
from tileserver import CallError

@fused.udf(cache_max_age=0)
def udf(name: str):
    try:
        return fused.load(name)()
    except CallError as error:
        return error.cause
"""
COMMON = "import fused\nKIND = 'common'\n@fused.udf\ndef udf(): return KIND\n"


def test_code_is_read_of_public_functions_only(two: Two) -> None:
    """By whatever name or token; another's that is shared may be run."""
    publish(two.first, "loads", LOADS)
    for slug, public in (("common", True), ("closed", False)):
        body = {"slug": slug, "udf_body": json.dumps({"code": COMMON}), "allow_public_read": public}
        assert two.second.post("/server/v1/udf/new", json=body).status_code == 200
    loads = share(two.first, "loads")

    def loaded(name: str) -> Any:
        return two.first.get(f"/files/{loads}.json", params={"name": name}).json()

    for name in ("public/common", "b/common", "b@c/common", share(two.second, "common")):
        assert loaded(name) == "common"
    assert loaded(share(two.second, "closed")) == "forbidden"
    for name in ("public/closed", "b@c/closed", "common", "team/common"):
        assert loaded(name) == "not_found"


def test_a_token_called_by_another_account_calls_as_its_own(two: Two) -> None:
    """A function that a token opens has its own account's names, not its caller's."""
    publish(two.second, "passes", 'from tileserver import run, udf\n@udf\ndef passes():\n    return run("says")\n')
    assert told(two, two.first, share(two.second, "passes")) == {"told": "of the second"}


def test_a_name_that_looks_like_a_token_is_the_accounts_own_first(two: Two) -> None:
    """What others share takes no name away."""
    token = share(two.second, "says")
    publish(two.first, token, SAYS.replace("OWNER", "the first"))
    assert told(two, two.first, token) == {"told": "of the first"}
    assert told(two, two.second, token) == {"told": "of the second"}


def test_an_answer_that_rests_on_a_token_ends_with_it(two: Two) -> None:
    """A disabled token opens nothing, neither to who asked before nor from what was kept meanwhile."""
    token = share(two.second, "says")
    keeps = ASKS.replace("cache_max_age=0", "").replace("asks", "keeps")
    publish(two.first, "keeps", keeps)
    address = f"/files/{share(two.first, 'keeps')}.json"
    with two.server.client() as stranger:
        for _ in range(2):
            assert stranger.get(address, params={"name": token}).json() == {"told": "of the second"}
        manage = f"/server/v1/udf-access-token/by-token/{token}"
        two.second.post(manage, json={"enabled": False}).raise_for_status()
        check_unknown(stranger.get(address, params={"name": token}).json())
