"""Files of an account (hosted API, section 2.4): written, listed, read, signed and deleted by the SDK."""

import httpx
import pytest
from server import Running
from session import Sdk
from versions import only

LATER = only("1.14.2", "2.9.5")
ROUTES = ("get", "sign", "sign-upload", "list", "list-details", "sign_prefix")


def put(sdk: Sdk, name: str, content: bytes = b"abc") -> None:
    """Upload a file."""
    sdk.get("api.upload(f'fd://{name}', content.encode())", name=name, content=content.decode())


@LATER
def test_a_file_is_written_and_read(sdk: Sdk) -> None:
    """The same bytes."""
    put(sdk, "one/a.txt", b"rivers")
    assert sdk.get("api.get('fd://one/a.txt')") == {"type": "bytes", "text": "rivers"}


@LATER
def test_files_are_listed(sdk: Sdk) -> None:
    """By address, and with details."""
    put(sdk, "two/a.txt", b"abc")
    put(sdk, "two/b/c.txt", b"d")
    told = sdk.get("api.list('fd://two/')")
    assert sorted(each.rstrip("/") for each in told) == ["fd://two/a.txt", "fd://two/b"]
    details = sdk.get("[each.model_dump() for each in api.list('fd://two/', details=True)]")
    sizes = {each["file_name"].rstrip("/"): (each["is_directory"], each["size"]) for each in details}
    assert sizes["a.txt"] == (False, 3)
    assert sizes["b"][0] is True


@LATER
def test_a_file_is_downloaded(sdk: Sdk) -> None:
    """Onto this machine."""
    put(sdk, "three.txt", b"downloaded")
    sdk.get("api.download('fd://three.txt', 'three.txt')")
    assert (sdk.home / "three.txt").read_bytes() == b"downloaded"


@LATER
def test_a_signed_url_opens_one_file(sdk: Sdk) -> None:
    """Without credentials; a changed one opens nothing."""
    put(sdk, "four.txt", b"signed")
    put(sdk, "five.txt", b"not signed")
    url = sdk.get("api.sign_url('fd://four.txt')")
    assert httpx.get(url, follow_redirects=True).content == b"signed"
    other = httpx.get(url.replace("four", "five"), follow_redirects=True)
    assert other.status_code in (401, 403, 404)


@LATER
def test_a_prefix_is_signed(sdk: Sdk) -> None:
    """Every file below it has its URL."""
    put(sdk, "six/a.txt", b"first")
    put(sdk, "six/b.txt", b"second")
    told = sdk.get("api.sign_url_prefix('fd://six/')")
    assert sorted(httpx.get(url, follow_redirects=True).content for url in told.values()) == [b"first", b"second"]


@LATER
def test_a_file_is_deleted(sdk: Sdk) -> None:
    """Then it is not there."""
    put(sdk, "seven/a.txt")
    assert sdk.get("api.delete('fd://seven/a.txt')") is True
    assert "HTTPError" in sdk.raised("api.get('fd://seven/a.txt')").bases


@pytest.mark.parametrize(
    "path", ["fd://../registry.sqlite", "fd:///etc/passwd", "fd://a/../../b", "file:///etc/passwd"]
)
@only("1.14.2")
def test_nothing_outside_is_reached(owner: httpx.Client, path: str) -> None:
    """Neither read nor written, whatever an SDK lets through."""
    asked = {"path": path, "client_id": "fused"}
    answers = [owner.get(f"/server/v1/files/{route}", params={"content_length": 1} | asked) for route in ROUTES]
    assert all(400 <= answer.status_code < 500 for answer in answers)


@LATER
def test_nobody_else_reads_them(sdk: Sdk, server: Running) -> None:
    """Not without credentials."""
    put(sdk, "eight.txt", b"private")
    answer = httpx.get(f"{server.url}/server/v1/files/get", params={"path": "fd://eight.txt", "client_id": "fused"})
    assert answer.status_code == 401


@only("1.8.0")
def test_the_oldest_writes_at_once(sdk: Sdk) -> None:
    """It signs nothing, but puts the bytes where they shall be."""
    put(sdk, "nine.txt", b"put")
    assert sdk.get("api.get('fd://nine.txt')") == {"type": "bytes", "text": "put"}


def test_a_temporary_file(sdk: Sdk) -> None:
    """With an address that the server chose and the ending that was asked for."""
    url = sdk.get("url = api._upload_tmp('csv', b'a,b')\nurl")
    assert url.startswith("fd://")
    assert url.endswith(".csv")
    assert sdk.get("api.get(url)") == {"type": "bytes", "text": "a,b"}
    assert sdk.get("api._upload_tmp('csv', b'a,b')") != url


@LATER
def test_a_file_put_at_once(sdk: Sdk) -> None:
    """Without a signed form, as the oldest does it, under a name and under a temporary one."""
    sdk.get("api._upload_direct('fd://ten.txt', b'ten')")
    assert sdk.get("api.get('fd://ten.txt')") == {"type": "bytes", "text": "ten"}
    assert sdk.get("api.get(api._upload_tmp_direct('bin', b'eleven'))") == {"type": "bytes", "text": "eleven"}


def test_a_file_is_resolved(sdk: Sdk) -> None:
    """To an address at which any program reads it."""
    sdk.get("api.upload('fd://twelve.txt', b'twelve')")
    assert httpx.get(sdk.get("api._resolve('fd://twelve.txt')")).content == b"twelve"
