"""Canvases (hosted API, sections 2.3 and 5): an account's collection, shared by the newest SDK, and its sessions."""

from urllib.parse import parse_qs, urlsplit

import httpx
from expected import hello, tile
from server import Running
from session import Sdk
from versions import only

NEWEST = only("2.9.5")
SHARE = """
mine = api.get_collection_by_name('default')
def share(scope, **more):
    global shared
    api.update_collection(mine['id'], name='default', access_scope=scope, **more)
    shared = api.share_collection(mine['id'], new_token=True)
    return shared.share_token
"""


@NEWEST
def test_a_collection_is_shared(sdk: Sdk, server: Running, stranger: Sdk) -> None:
    """A public one opens to whoever has its token, each UDF by its name; taken back it opens nothing."""
    token = sdk.get(f"{SHARE}share('public')")
    assert token.startswith("fc_")
    assert sdk.get("api.get_collection_by_id(mine['id'])") == sdk.get("shared")
    assert sdk.get("[each['name'] for each in api.list_collections()]") == ["default"]
    assert stranger.get("fused.run(token, n=5)", token=f"{token}/hello") == hello(5)
    assert stranger.get("fused.run(token, x=1, y=2, z=3)", token=f"{token}/where") == tile(3, 1, 2)
    again = sdk.get("[api.share_collection(mine['id']).share_token, fused.load('hello').get_canvas_share_token()]")
    assert again == [token, token]
    assert sdk.get("api.unshare_collection(mine['id']).share_token") is None
    assert "HTTPError" in stranger.raised("fused.run(token, n=5)", token=f"{token}/hello").bases


@NEWEST
def test_a_session_of_a_collection(sdk: Sdk, server: Running, stranger: Sdk) -> None:
    """One of a team opens by a session that its account begins; the newest says when it ends."""
    token = sdk.get(f"{SHARE}share('team')")
    assert "HTTPError" in stranger.raised("fused.run(token, n=5)", token=f"{token}/hello").bases
    assert sdk.get("fused.run(token, n=5)", token=f"{token}/hello") == hello(5)
    session = sdk.get("session = fused.api._session_token(shared, session_max_age='30m')\nsession")
    assert sdk.get("session.expires_at == __import__('fused').api.api._session_token_expires_at(session.session_token)")
    place = f"{server.url}/server/v1/realtime-shared/{token}/hello/run"
    query = {"fused_session_token": session["session_token"], "format": "csv"}
    assert httpx.get(place, params=query).status_code == 200
    assert httpx.get(place, params=query | {"fused_session_token": "x"}).status_code == 404
    error = sdk.raised("fused.api._session_token(shared, session_max_age='2d')")
    assert "HTTPError" in error.bases


@NEWEST
def test_a_url_from_inside(sdk: Sdk, server: Running) -> None:
    """`shared_udf_url` of a saved UDF: with a session where the collection is a team's, without where it is public."""
    inside = (
        "from unittest.mock import patch\n"
        "with patch('fused.context.this_udf', return_value=fused.load('hello')):\n"
        "    told = api.shared_udf_url()\n"
        "told.model_dump(mode='json')"
    )
    for scope in ("team", "public"):
        token = sdk.get(f"{SHARE}share('{scope}')")
        told = sdk.get(inside)
        assert told["url"].partition("?")[0] == f"{server.url}/server/v1/realtime-shared/{token}/hello/run"
        assert ("fused_session_token" in parse_qs(urlsplit(told["url"]).query)) == (scope == "team")
        assert httpx.get(told["url"]).status_code == 200


@NEWEST
def test_a_passcode(sdk: Sdk, server: Running) -> None:
    """The SDK sets it and reads it again; it is sent as its documents of a collection say."""
    token = sdk.get(f"{SHARE}share('public', passcode='open sesame')")
    assert sdk.get("api.get_collection_by_id(mine['id']).passcode") == "open sesame"
    place = f"{server.url}/server/v1/realtime-shared/{token}/hello/run"
    told = [
        httpx.get(place, headers={"Authorization": f"Fused-Canvas-Passcode {said}"}).status_code
        for said in ("x", "open sesame")
    ]
    assert told == [404, 200]
    sdk.get("share('team', passcode='')")
    assert sdk.get("shared.passcode") is None
