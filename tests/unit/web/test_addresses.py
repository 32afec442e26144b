"""Absolute addresses: which of the things that a request says about them count."""

from typing import Any

import pytest

from tileserver.settings import Settings
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses


def addresses(**settings: Any) -> Addresses:
    made = Settings(**settings)
    return Addresses(made, Access(made, None))  # type: ignore[arg-type]


def base(headers: dict[str, str], client: str = "10.0.0.1", **settings: Any) -> str:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"headers": raw, "client": (client, 5000), "scheme": "http", "server": ("127.0.0.1", 8000)}
    return addresses(**settings).base(scope)


FORWARDED = {
    "Host": "localhost:8000",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "maps.example.org",
    "X-Forwarded-Prefix": "/maps/",
}


def test_forwarded_headers_count_from_trusted_proxies_only() -> None:
    """From anybody else they are as if they were not there."""
    assert base(FORWARDED) == "http://localhost:8000"
    assert base(FORWARDED, trusted_proxies=("10.0.0.2",)) == "http://localhost:8000"
    assert base(FORWARDED, trusted_proxies=("10.0.0.0/8",)) == "https://maps.example.org/maps"
    assert base(FORWARDED, client="testclient", trusted_proxies=("10.0.0.0/8",)) == "http://localhost:8000"


def test_the_public_url_goes_before_everything() -> None:
    """It is what its owner said."""
    settings = {"public_url": "https://public.example/x/", "trusted_proxies": ("10.0.0.0/8",), "root_path": "/x"}
    assert base(FORWARDED, **settings) == "https://public.example/x"


def test_proxies_in_a_row() -> None:
    """The first of several values is what the client said; nothing is escaped twice."""
    headers = {
        "X-Forwarded-Proto": "https, http",
        "X-Forwarded-Host": "a.example, b.example",
        "X-Forwarded-Prefix": "/user/a%40b/proxy",
    }
    assert base(headers, trusted_proxies=("10.0.0.1",)) == "https://a.example/user/a%40b/proxy"


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("localhost:9000", "http://localhost:9000"),
        ("192.168.1.5:8000", "http://192.168.1.5:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("evil.example", "http://127.0.0.1:8000"),
        ('"><script>', "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
    ],
)
def test_host_is_repeated_where_it_is_ours(host: str, shown: str) -> None:
    """A name that is not allowed gets into no address."""
    assert base({"Host": host} if host else {}) == shown


@pytest.mark.parametrize("root", ["/maps", "maps", "/maps/"])
def test_the_root_path_is_there_or_taken_off(root: str) -> None:
    """A proxy may have stripped it or not; names that only begin so stay."""
    found = addresses(root_path=root)
    assert found.strip(b"/maps/tiles/x") == b"/tiles/x"
    assert found.strip(b"/tiles/x") == b"/tiles/x"
    assert found.strip(b"/mapsy/x") == b"/mapsy/x"
    assert found.strip(b"/maps/maps/x") == b"/maps/x"
    assert base({"Host": "localhost"}, root_path=root) == "http://localhost/maps"


def test_a_root_path_with_signs() -> None:
    """As JupyterHub's, with an address in it, however it is escaped."""
    found = addresses(root_path="/user/a b@c")
    assert found.strip(b"/user/a%20b%40c/livez") == b"/livez"
    assert found.strip(b"/user/a b@c/livez") == b"/livez"
