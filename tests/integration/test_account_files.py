"""Files of an account: listed, read, written and deleted; signed addresses; nobody else's, and nothing outside."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from server import Running, serving

from tileserver.tokens import read_keyring

FILES = "/server/v1/files"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("files") / "data"
    with serving(data=data, arguments=("--files-disk", "1MB")) as server:
        yield server


def ask(client: httpx.Client, what: str, path: str, method: str = "GET", **query: Any) -> httpx.Response:
    return client.request(method, f"{FILES}/{what}", params={"path": path, "client_id": "fused", **query})


def put(client: httpx.Client, path: str, content: bytes) -> None:
    """Upload as the SDK does (captures, `api.upload`)."""
    signed = ask(client, "sign-upload", path, content_length=len(content)).json()
    with httpx.Client() as stranger:
        answer = stranger.post(signed["url"], data=signed["fields"] | {"key": "a"}, files={"file": content})
    assert answer.status_code == 204, answer.text


def test_the_life_of_a_file(owner: httpx.Client) -> None:
    """Written, listed, read whole and in part, deleted."""
    put(owner, "fd://life/a b.txt", b"0123456789")
    assert ask(owner, "list", "fd://life/").json() == ["fd://life/a b.txt"]
    assert "fd://life/" in ask(owner, "list", "fd://").json()
    [details] = ask(owner, "list-details", "fd://life").json()
    assert (details["url"], details["file_name"], details["size"]) == ("fd://life/a b.txt", "a b.txt", 10)
    assert details["is_directory"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", details["last_modified"])
    whole = ask(owner, "get", "fd://life/a b.txt")
    assert (whole.content, whole.headers["content-type"]) == (b"0123456789", "application/octet-stream")
    part = owner.get(f"{FILES}/get", params={"path": "fd://life/a b.txt"}, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert ask(owner, "delete", "fd://life", "DELETE", max_deletion_depth=0).status_code == 409
    assert ask(owner, "delete", "fd://life", "DELETE", max_deletion_depth="unlimited").json() is True
    for what, method in (("get", "GET"), ("list", "GET"), ("delete", "DELETE")):
        assert ask(owner, what, "fd://life", method).status_code == 404


def test_what_was_uploaded_is_not_ours(owner: httpx.Client) -> None:
    """No browser runs it in the server's name."""
    put(owner, "fd://page.html", b"<script>alert(1)</script>")
    signed = ask(owner, "sign", "fd://page.html").json()
    for answer in (ask(owner, "get", "fd://page.html"), httpx.get(signed)):
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment")


def test_each_account_has_its_own(running: Running, owner: httpx.Client, other: httpx.Client) -> None:
    """Under the same address; strangers have none."""
    put(owner, "fd://mine.txt", b"the owner's")
    assert ask(other, "get", "fd://mine.txt").status_code == 404
    put(other, "fd://mine.txt", b"the other's")
    assert ask(owner, "get", "fd://mine.txt").content == b"the owner's"
    assert ask(other, "list", "fd://").json() == ["fd://mine.txt"]
    with running.client() as stranger:
        for what in ("list", "list-details", "get", "sign", "sign_prefix", "sign-upload", "sign-upload-temp"):
            assert ask(stranger, what, "fd://mine.txt", content_length=1).status_code == 401
        assert ask(stranger, "delete", "fd://mine.txt", "DELETE").status_code == 401
        assert ask(stranger, "resolve", "fd://mine.txt", "POST").status_code == 401


@pytest.mark.parametrize("path", ["fd://../master.key", "fd:///etc/passwd", "fd://a/../../x", "file:///etc/passwd", ""])
def test_nothing_outside_is_reached(owner: httpx.Client, path: str) -> None:
    """Whatever is wanted of it."""
    for what in ("list", "list-details", "get", "sign", "sign_prefix", "sign-upload"):
        assert ask(owner, what, path, content_length=1).status_code == 422, what
    assert ask(owner, "delete", path, "DELETE").status_code == 422
    assert ask(owner, "resolve", path, "POST").status_code == 422


def test_a_signed_address_is_for_its_file_only(running: Running, owner: httpx.Client) -> None:
    """Without credentials, from any origin, in parts; changed in any of its parts it is none."""
    put(owner, "fd://signed/é a.txt", b"0123456789")
    put(owner, "fd://signed/é b.txt", b"not this")
    url = ask(owner, "sign", "fd://signed/é a.txt").json()
    assert url.startswith(f"{running.url}{FILES}/signed/")
    answer = httpx.get(url, headers={"Range": "bytes=-3"})
    assert (answer.status_code, answer.content) == (206, b"789")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert httpx.head(url).headers["content-length"] == "10"
    *start, account, until, cover, signature, folder, name = url.split("/")
    changed = [
        (account, until, cover, signature, folder, name.replace("a.txt", "b.txt")),
        ("a2", until, cover, signature, folder, name),
        ("..", until, cover, signature, folder, name),
        (account, str(int(until) + 1), cover, signature, folder, name),
        (account, "9" * 5000, cover, signature, folder, name),
        (account, until, "0", signature, folder, name),
        (account, until, "9" * 5000, signature, folder, name),
        (account, until, cover, signature[:-1], folder, name),
        (account, until, cover, "é", folder, name),
    ]
    for parts in changed:
        answer = httpx.get("/".join((*start, *parts)))
        assert answer.status_code == 404, parts
    late = "1000000000"
    keyring = read_keyring(running.data / "master.key")
    signature = keyring.sign(f"{FILES}/signed", account, late, cover, "signed", "é a.txt")
    assert httpx.get("/".join((*start, account, late, cover, signature, folder, name))).status_code == 404
    later = str(int(time.time()) + 60)
    signature = keyring.sign(f"{FILES}/signed", account, later, cover, "signed", "é a.txt")
    assert httpx.get("/".join((*start, account, later, cover, signature, folder, name))).status_code == 200


def test_a_prefix_is_signed(owner: httpx.Client) -> None:
    """Every file below it on its own; and one address below which all of it is, and nothing else."""
    for name in ("a.txt", "deep/b.txt"):
        put(owner, f"fd://prefix/{name}", name.encode())
    put(owner, "fd://prefixed.txt", b"not this")
    signed = ask(owner, "sign_prefix", "fd://prefix/").json()
    assert {path: httpx.get(url).text for path, url in signed.items()} == {
        "fd://prefix/a.txt": "a.txt",
        "fd://prefix/deep/b.txt": "deep/b.txt",
    }
    root = ask(owner, "resolve", "fd://prefix", "POST").json()
    assert httpx.get(f"{root}/deep/b.txt").text == "deep/b.txt"
    assert httpx.get(root.replace("/prefix", "/prefixed.txt")).status_code == 404
    assert httpx.get(f"{root}/%2e%2e/prefixed.txt").status_code in (404, 422)


def test_an_upload_is_what_was_said(owner: httpx.Client) -> None:
    """No longer, with a file, and to that place only; what is refused leaves nothing."""
    signed = ask(owner, "sign-upload", "fd://said.txt", content_length=3).json()["url"]
    for status, request in (
        (422, {"files": {"file": b"four"}}),
        (422, {"files": {"file": b"x" * 100_000}}),
        (422, {"files": {"another": b"abc"}}),
        (422, {"data": {"file": "abc"}}),
        (422, {"content": b"abc"}),
        (422, {"content": b"abc", "headers": {"content-type": "multipart/form-data"}}),
        (422, {"content": b"--b\r\nabc", "headers": {"content-type": "multipart/form-data; boundary=b"}}),
    ):
        assert httpx.post(signed, **request).status_code == status, request
    assert httpx.post(signed.replace("said", "other"), files={"file": b"abc"}).status_code == 404
    assert httpx.post(signed.replace("/3/", "/4/"), files={"file": b"four"}).status_code == 404
    assert ask(owner, "get", "fd://said.txt").status_code == 404
    assert httpx.post(signed, files={"file": b"abc"}).status_code == 204
    assert ask(owner, "get", "fd://said.txt").content == b"abc"


def test_no_more_than_the_quota(owner: httpx.Client) -> None:
    """Refused before anything is sent."""
    refused = ask(owner, "sign-upload", "fd://large", content_length=2_000_000)
    assert refused.status_code == 409
    assert "1000000 bytes" in refused.json()["detail"]
    for length in ("", "-1", "x", "9" * 20):
        assert ask(owner, "sign-upload", "fd://x", content_length=length).status_code == 422


def test_a_temporary_upload(owner: httpx.Client) -> None:
    """Under an address of its own with the extension that was asked for."""
    answers = [
        owner.get(f"{FILES}/sign-upload-temp", params={"extension": extension, "content_length": 3}).json()
        for extension in ("csv", ".csv", "")
    ]
    assert len({each["storage_url"] for each in answers}) == 3
    assert [re.sub(r"[0-9a-f]{32}", "N", each["storage_url"]) for each in answers] == [
        "fd://tmp/N.csv",
        "fd://tmp/N.csv",
        "fd://tmp/N",
    ]
    post = answers[0]["signed_post"]
    assert httpx.post(post["url"], data=post["fields"], files={"file": b"abc"}).status_code == 204
    assert ask(owner, "get", answers[0]["storage_url"]).content == b"abc"
    assert owner.get(f"{FILES}/sign-upload-temp", params={"extension": "a/b", "content_length": 3}).status_code == 422


def test_a_body_is_put_as_it_is(owner: httpx.Client) -> None:
    """As the SDK's oldest versions do it; within the quota, to a name, leaving nothing of what is refused."""
    place = {"path": "fd://put/a.txt"}
    assert owner.put(f"{FILES}/upload", params=place, content=b"abc").json() == "fd://put/a.txt"
    assert ask(owner, "get", "fd://put/a.txt").content == b"abc"
    kept = owner.post(f"{FILES}/upload-temp", params={"extension": "csv"}, content=b"a,b").json()
    assert re.fullmatch(r"fd://tmp/[0-9a-f]{32}\.csv", kept)
    assert ask(owner, "get", kept).content == b"a,b"
    for path, content, status in (
        ("fd://", b"abc", 422),
        ("fd://../x", b"abc", 422),
        ("fd://put", b"abc", 409),
        ("fd://large", b"x" * 999_999, 409),
        ("fd://large", b"x" * 1_000_001, 409),
    ):
        assert owner.put(f"{FILES}/upload", params={"path": path}, content=content).status_code == status, path
    assert ask(owner, "get", "fd://large").status_code == 404


def test_what_comes_at_once_has_room_together(running: Running, owner: httpx.Client) -> None:
    """What is on its way counts, whole, from its beginning; once it is gone it does no more."""
    place = urlsplit(running.url)
    head = (
        f"PUT {FILES}/upload?path=fd://slow HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"Authorization: {owner.headers['authorization']}\r\nContent-Length: 700000\r\n\r\n"
    )
    with socket.create_connection((place.hostname, place.port), 20) as slow:
        slow.sendall(head.encode() + b"x")
        while not (size := coming(running)):
            time.sleep(0.01)
        assert size == 700_000
        answers = [owner.put(f"{FILES}/upload", params={"path": f"fd://{n}"}, content=bytes(n)) for n in (600_000, 9)]
        assert [each.status_code for each in answers] == [409, 200]
    while coming(running):
        time.sleep(0.01)
    assert owner.put(f"{FILES}/upload", params={"path": "fd://large"}, content=bytes(600_000)).status_code == 200
    assert ask(owner, "delete", "fd://large", "DELETE").status_code == 200


def coming(running: Running) -> int:
    """Bytes of what is on its way."""
    size = 0
    for each in (running.data / "files" / ".incoming").rglob("*"):
        with suppress(FileNotFoundError):  # it came, or went, meanwhile
            size += each.stat().st_size if each.is_file() else 0
    return size


READS = """
import fused
@fused.udf
def udf(path: str, how: str = "get"):
    try:
        if how == "download":
            return open(fused.download(path, "kept/" + path.rsplit("/")[-1]), "rb").read().decode()
        if how == "details":
            return [[each.file_name, each.size, each.last_modified.year] for each in fused.api.list(path, details=True)]
        found = getattr(fused.api, how)(path)
        return found.decode() if how == "get" else found
    except fused.types.UdfRuntimeError as error:
        return {"error": str(error)}
"""


def read(client: httpx.Client, path: str, how: str = "get") -> Any:
    """What a function of the account reads."""
    udf = {"code": READS, "parameters": {"path": path, "how": how, "cache_max_age": 0}}
    body = {"step_config": json.dumps({"udf": udf}), "format": "json"}
    answer = client.post("/server/v1/realtime/any/api/v1/run/udf?cache_max_age=0", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_function_reads_files_of_its_account(owner: httpx.Client) -> None:
    """Their content, what is in a folder, and a copy that stays."""
    put(owner, "fd://read/é.txt", b"rivers")
    put(owner, "fd://read/empty", b"")
    put(owner, "fd://read/below/c.txt", b"c")
    assert read(owner, "fd://read/é.txt") == "rivers"
    assert read(owner, "fd://read/empty") == ""
    assert read(owner, "fd://read", "list") == ["fd://read/below/", "fd://read/empty", "fd://read/é.txt"]
    assert read(owner, "fd://read/", "details")[2] == ["é.txt", 6, time.gmtime().tm_year]
    assert read(owner, "fd://read/é.txt", "download") == "rivers"
    assert ask(owner, "delete", "fd://read", "DELETE").json() is True
    assert read(owner, "fd://read/é.txt", "download") == "rivers"
    assert "There is no such file" in read(owner, "fd://read/é.txt")["error"]


def test_a_function_reads_nobody_elses(running: Running, owner: httpx.Client, other: httpx.Client) -> None:
    """Nor what is no address here, nor what is too large for memory, of which it is told."""
    put(owner, "fd://alone.txt", b"alone")
    [folder] = [each for each in (running.data / "files").iterdir() if (each / "alone.txt").exists()]
    with (folder / "large").open("wb") as file:
        file.truncate(65 << 20)
    (folder / "out").symlink_to("/etc/passwd")
    assert read(owner, "fd://alone.txt") == "alone"
    assert "no such file" in read(other, "fd://alone.txt")["error"]
    assert "fd://alone.txt" not in read(other, "fd://", "list")
    assert "at most 64 MB" in read(owner, "fd://large")["error"]
    (folder / "large").unlink()
    for path in (
        "fd://out",
        "fd://../" + folder.name + "/alone.txt",
        f"fd://{folder}/alone.txt",
        str(folder / "alone.txt"),
    ):
        for how in ("get", "list"):
            assert "error" in read(other, path, how)
            assert "error" in read(owner, path, how)


def test_nothing_is_left_of_what_was_refused(running: Running) -> None:
    """In the folder where uploads become whole."""
    assert not any(each.is_file() for each in (running.data / "files" / ".incoming").rglob("*"))
