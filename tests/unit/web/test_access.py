"""Host, Origin and cookies: whose request it is, and from where."""

from typing import Any

import pytest

from tileserver.errors import ForbiddenError
from tileserver.settings import Settings
from tileserver.web.access import Access, session_of

Headers = list[tuple[str, str]]


def scope(headers: Headers, method: str = "GET", **more: Any) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"headers": raw, "method": method, **more}


def access(**settings: Any) -> Access:
    return Access(Settings(**settings), None)  # type: ignore[arg-type]


SETTINGS = {"allowed_hosts": ("Maps.Example.org", "[fe80::2]:80"), "public_url": "https://public.example:8443/maps"}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "127.0.0.1:8000",
        "[::1]:8000",
        "[::1]",
        "192.168.1.5:8000",
        "maps.example.org",
        "MAPS.example.org:443",
        "public.example:8443",
        "[fe80::2]",
    ],
)
def test_names_of_ours_and_addresses_are_hosts(host: str) -> None:
    """By name whatever the port and the case; an address cannot be rebound."""
    access(**SETTINGS).check_host(scope([("Host", host)]))


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        [":8000"],
        ["evil.example"],
        ["evil.example:8000"],
        ["localhost.evil.example"],
        ["evil.example#localhost"],
        ["localhost@evil.example"],
        ["127.0.0.1.evil.example"],
        ["[evil.example]"],
        ["["],
        ["localhost", "evil.example"],
        ["localhost", "localhost"],
    ],
)
def test_other_names_are_refused(hosts: list[str]) -> None:
    """None, an empty one, a foreign one, one that only looks like ours, and two."""
    for settings in ({}, SETTINGS):
        with pytest.raises(ForbiddenError):
            access(**settings).check_host(scope([("Host", host) for host in hosts]))


def test_a_star_allows_every_host() -> None:
    """For who has a proxy that checks."""
    access(allowed_hosts=("*",)).check_host(scope([("Host", "any.example")]))


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ([], False),
        ([("Origin", "http://localhost:8000")], False),
        ([("Origin", "http://LOCALHOST:8000")], False),
        ([("Origin", "https://public.example:8443")], False),
        ([("Sec-Fetch-Site", "same-origin")], False),
        ([("Sec-Fetch-Site", "none")], False),
        ([("Origin", "http://localhost:3000")], True),
        ([("Origin", "http://localhost")], True),
        ([("Origin", "http://evil.example")], True),
        ([("Origin", "null")], True),
        ([("Origin", "http://[::1")], True),
        ([("Origin", "file://")], True),
        ([("Origin", "localhost:8000")], True),
        ([("Sec-Fetch-Site", "cross-site")], True),
        ([("Sec-Fetch-Site", "same-site")], True),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_only_our_own_pages_write(headers: Headers, foreign: bool, method: str) -> None:
    """By Origin; where there is none, by what the browser says of the page. Reading is not writing."""
    checked = access(**SETTINGS)
    asked = [("Host", "localhost:8000"), *headers]
    checked.check_origin(scope(asked))
    if foreign:
        with pytest.raises(ForbiddenError):
            checked.check_origin(scope(asked, method))
    else:
        checked.check_origin(scope(asked, method))


@pytest.mark.parametrize(
    ("cookie", "secret"),
    [
        ("", ""),
        ("tileserver_session=abc", "abc"),
        ("a=1; tileserver_session=abc; b=2", "abc"),
        ('other={"json": [1]}; tileserver_session=abc', "abc"),
        ("a:b@c=1; =; ;; tileserver_session=abc", "abc"),
        ("xtileserver_session=abc", ""),
        ("tileserver_session=", ""),
        ("\xff=\xfe; tileserver_session=abc", "abc"),
    ],
)
def test_the_session_is_found_among_other_cookies(cookie: str, secret: str) -> None:
    """What other programs on this host set does not sign anybody out."""
    assert session_of(scope([("Cookie", cookie)])) == secret
