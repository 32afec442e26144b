"""Tokens and the owner: what opens what, and what stops at once."""

import json
import re
from pathlib import Path

import pytest
from server import UDFS, Running, serving


def test_a_disabled_token_stops_at_its_next_request(server: Running) -> None:
    """Cached tiles included; enabled again it answers; deleted it is gone; always the same 404."""
    with server.client() as client, server.owner() as owner:
        made = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "address"}).json()
        tile, manage = f"/tiles/{made['token']}/4/3/2.png", f"/server/v1/udf-access-token/by-token/{made['token']}"
        assert client.get(tile).status_code == 200
        assert owner.post(manage, json={"enabled": False}).json()["enabled"] is False
        disabled = client.get(tile)
        assert owner.post(manage, json={"enabled": True, "client_id": None}).json()["enabled"] is True
        assert client.get(tile).status_code == 200
        assert owner.delete(manage).json()["token"] == made["token"]
        deleted = client.get(tile)
        unknown = client.get("/tiles/fsh_" + "a" * 43 + "/4/3/2.png")
        assert owner.get(manage).status_code == 404
    assert disabled.status_code == deleted.status_code == unknown.status_code == 404
    assert disabled.content == deleted.content == unknown.content


def test_pages_of_tokens_end(server: Running) -> None:
    """The SDK reads pages until one is empty."""
    with server.owner() as owner:
        first = owner.get("/server/v1/udf-access-token/self?skip=0&limit=2").json()
        assert len(first) == 2
        assert owner.get("/server/v1/udf-access-token/self?skip=1000&limit=25").json() == []
        assert owner.get("/server/v1/udf/self?skip=1000&limit=25").json() == []
        assert owner.get("/server/v1/user/self").json()["email"] == "owner@localhost"


@pytest.mark.parametrize("path", ["/server/v1/user/self", "/server/v1/udf/self", "/server/v1/udf-access-token/self"])
def test_strangers_manage_nothing(server: Running, path: str) -> None:
    """Loopback is no credential."""
    with server.client() as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer fpt_" + "a" * 43}).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {server.token('address')}"}).status_code == 401


def test_the_sign_in_link_opens_one_session(server: Running) -> None:
    """HttpOnly and SameSite; the second use is refused; the session sees the catalogue and the errors."""
    link = server.wait_for(r"sign in +(http\S+)")[1]
    with server.client() as browser:
        answer = browser.get(link)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert browser.get(link).status_code == 403
        assert "address" in browser.get("/").text
        failure = browser.get(f"/tiles/{server.token('failing')}/3/1/2.png")
        assert "the secret is 42" in failure.json()["message"]
        other = {"Origin": "http://evil.example"}
        assert browser.post("/sign-out", headers=other).status_code == 403
        assert browser.post("/sign-out").status_code == 303
        assert "address" not in browser.get("/").text


def test_hosts_that_are_not_ours_are_refused(server: Running) -> None:
    """A rebound name reads nothing but token routes, which need no session."""
    with server.client(headers={"Host": "evil.example"}) as client:
        assert client.get("/").status_code == 403
        assert client.get("/server/v1/user/self").status_code == 403
        assert client.get(f"/tiles/{server.token('address')}/3/1/2.png").status_code == 200


def test_a_udf_file_cannot_be_changed_through_the_api(server: Running) -> None:
    """409, and the file stays what is served."""
    with server.owner() as owner:
        listed = {each["slug"]: each for each in owner.get("/server/v1/udf/self").json()}
        assert owner.delete(f"/server/v1/udf/by-id/{listed['address']['id']}").status_code == 409


def test_a_source_posted_through_the_api(server: Running) -> None:
    """Saved, given a token, drawn, saved again under the same id, deleted."""

    def body(code: str) -> dict[str, str]:
        return {"slug": "posted", "udf_body": json.dumps({"code": code, "type": "geopandas_v2", "entrypoint": "udf"})}

    with server.owner() as owner, server.client() as client:
        saved = owner.post("/server/v1/udf/new", json=body("@fused.udf\ndef udf(n: int = 1): return {'n': n}")).json()
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_id": saved["id"]}).json()["token"]
        assert client.get(f"/files/{token}?n=5").json() == {"n": 5}
        again = owner.post(
            f"/server/v1/udf/by-id/{saved['id']}", json=body("@fused.udf\ndef udf(n: int = 1): return {'m': n}")
        )
        assert again.json()["id"] == saved["id"]
        assert client.get(f"/files/{token}?n=5").json() == {"m": 5}
        broken = owner.post(f"/server/v1/udf/by-id/{saved['id']}", json=body("def ("))
        assert (broken.status_code, broken.json()["code"]) == (422, "not_publishable")
        assert client.get(f"/files/{token}?n=5").json() == {"m": 5}
        assert owner.delete(f"/server/v1/udf/by-id/{saved['id']}").status_code == 200
        assert client.get(f"/files/{token}?n=5").status_code == 404


def test_one_of_several_functions_of_a_posted_source(server: Running) -> None:
    """`entrypoint` says which; the record says it too, and another one of the same source is another version."""
    code = "@fused.udf\ndef one(n: int = 1): return {'one': n}\n@fused.udf\ndef two(n: int = 2): return {'two': n}"

    def body(entry: str | None) -> dict[str, str]:
        return {"slug": "several", "udf_body": json.dumps({"code": code, "entrypoint": entry})}

    with server.owner() as owner, server.client() as client:
        saved = owner.post("/server/v1/udf/new", json=body("two")).json()
        assert json.loads(saved["udf_body"])["entrypoint"] == "two"
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_id": saved["id"]}).json()["token"]
        assert client.get(f"/files/{token}").json() == {"two": 2}
        assert owner.post(f"/server/v1/udf/by-id/{saved['id']}", json=body("one")).status_code == 200
        assert client.get(f"/files/{token}").json() == {"one": 1}
        for entry, words in (("three", "no function 'three'"), (None, "one, two")):
            refused = owner.post(f"/server/v1/udf/by-id/{saved['id']}", json=body(entry))
            assert (refused.status_code, refused.json()["code"]) == (422, "not_publishable")
            assert words in refused.json()["detail"]
        assert client.get(f"/files/{token}").json() == {"one": 1}


def test_edits_are_published_and_tokens_stay(tmp_path: Path) -> None:
    """With --reload an edit is live at once; a broken one keeps the last good version; a file that goes answers 404."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    file = folder / "live.py"
    source = "from tileserver import udf\n@udf\ndef live() -> dict:\n    return {{'v': {}}}\n"
    file.write_text(source.format(1))
    with serving(folder, data=tmp_path / "data", arguments=("--reload",)) as running, running.client() as client:
        url = f"/files/{running.token('live')}"
        assert client.get(url).json() == {"v": 1}
        printed = len(running.lines)
        file.write_text(source.format(2))
        running.wait_for("live", start=printed)
        assert client.get(url).json() == {"v": 2}
        printed = len(running.lines)
        file.write_text("def (")
        running.wait_for(r"live\.py:1: this is not Python.*last good version", start=printed)
        assert client.get(url).json() == {"v": 2}
        printed = len(running.lines)
        file.write_text(source.format(3))
        running.wait_for("live", start=printed)
        assert client.get(url).json() == {"v": 3}


def test_bad_files_are_named_and_the_others_served(tmp_path: Path) -> None:
    """Not Python, no UDF, two UDFs, the same name twice: a line each, with file and line."""
    folder = tmp_path / "udfs"
    (folder / "sub").mkdir(parents=True)
    one = "from tileserver import udf\n@udf\ndef one() -> dict:\n    return {}\n"
    (folder / "a_good.py").write_text(one)
    (folder / "broken.py").write_text("x = 1\ndef (\n")
    (folder / "none.py").write_text("x = 1\n")
    (folder / "two.py").write_text(one + "\n@udf\ndef other(): ...\n")
    (folder / "sub" / "a_good.py").write_text(one)
    with serving(folder, data=tmp_path / "data") as running, running.client() as client:
        text = "\n".join(running.lines)
        assert re.search(r"broken\.py:2: this is not Python", text)
        assert re.search(r"none\.py:1: no function", text)
        assert re.search(r"two\.py:7: one file holds one UDF", text)
        assert re.search(r"sub/a_good\.py:3: .*a_good\.py has a UDF named 'a_good' too", text)
        assert client.get(f"/files/{running.token('a_good')}").json() == {}


def test_tokens_stay_between_starts(tmp_path: Path) -> None:
    """The same file has the same token; a token that was deleted is not minted again."""
    with serving(UDFS / "numbers.py", data=tmp_path / "data") as running:
        token = running.token("numbers")
        assert running.stop() == 0
    with serving(UDFS / "numbers.py", data=tmp_path / "data") as running:
        assert running.token("numbers") == token
        with running.owner() as owner:
            owner.delete(f"/server/v1/udf-access-token/by-token/{token}")
    with serving(UDFS / "numbers.py", data=tmp_path / "data") as running:
        assert "token was deleted" in "\n".join(running.lines)
