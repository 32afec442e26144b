"""Public addresses only, and the one that was checked is the one that is connected to."""

import asyncio
import socket
from typing import Any

import httpcore2
import pytest
from forge import Forge
from hypothesis import given, settings
from hypothesis import strategies as st
from test_address import SEGMENTS, URLS

from tileserver.codeproxy import CodeProxy
from tileserver.codeproxy.network import PublicNetwork, is_public
from tileserver.errors import ForbiddenError, TileserverError


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("140.82.121.3", True),
        ("2606:4700::1111", True),
        ("::ffff:140.82.121.3", True),
        ("64:ff9b::8c52:7903", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    """Neither this machine, nor its network, nor a cloud's metadata; not in disguise either."""
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "0.0.0.0"])
def test_this_machine_is_not_reached(host: str) -> None:
    """A listener on loopback gets no connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        with pytest.raises(ForbiddenError, match="private network"):
            asyncio.run(PublicNetwork().connect_tcp(host, listener.getsockname()[1]))
        with pytest.raises(TimeoutError):
            listener.accept()


class Resolver:
    """A name server that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in self.answers.pop(0)]


class Wire(httpcore2.AsyncNetworkBackend):
    """What is connected to; those that are named do not answer, or with `*` none does."""

    def __init__(self, *silent: str) -> None:
        self.reached: list[str] = []
        self.silent = silent

    async def connect_tcp(self, host: str, *arguments: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        self.reached.append(host)
        if host in self.silent or "*" in self.silent:
            raise httpcore2.ConnectError("silent")
        return httpcore2.AsyncMockStream([])


def reached(monkeypatch: pytest.MonkeyPatch, wire: Wire, *answers: list[str]) -> list[str]:
    """The addresses that a connection to a name tries."""

    async def scenario() -> None:
        resolver = Resolver(*answers)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolver.getaddrinfo)
        network = PublicNetwork()
        network._network = wire  # type: ignore[assignment]
        await network.connect_tcp("github.com", 443)

    asyncio.run(scenario())
    return wire.reached


def test_a_name_that_changes_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once; the connection is to that answer, not to the name."""
    assert reached(monkeypatch, Wire(), ["140.82.121.3"], ["127.0.0.1"]) == ["140.82.121.3"]


def test_private_ones_among_several_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next public one is tried where one is silent."""
    wire = Wire("140.82.121.3")
    answer = ["127.0.0.1", "140.82.121.3", "169.254.169.254", "140.82.121.4"]
    assert reached(monkeypatch, wire, answer) == ["140.82.121.3", "140.82.121.4"]


@pytest.mark.parametrize("answer", [[], ["140.82.121.3"]])
def test_nobody_there(monkeypatch: pytest.MonkeyPatch, answer: list[str]) -> None:
    """No such name, or silence."""
    with pytest.raises(httpcore2.ConnectError):
        reached(monkeypatch, Wire("140.82.121.3"), answer)


def test_a_proxy_reaches_public_addresses_only(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is told another network: a name on the list that leads to this machine is refused."""

    async def scenario() -> None:
        resolver = Resolver(["127.0.0.1"])
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolver.getaddrinfo)
        await CodeProxy(hosts=("github.com",)).udf("https://github.com/owner/udfs/blob/main/x.py")

    with pytest.raises(ForbiddenError, match=r"'raw\.githubusercontent\.com' is inside a private network"):
        asyncio.run(scenario())
    assert forge.asked == []


HOSTS = st.sampled_from(["github.com", "raw.githubusercontent.com", "evil.example", "127.0.0.1", "localhost"])
MARKS = st.sampled_from(["", "@", ":443", ".", "#", "?", "\\", "%2f", "/", " ", "\t"])
STRANGE = st.builds(
    lambda one, mark, other, path: f"https://{one}{mark}{other}/owner/udfs/blob/{'/'.join(path)}/x.py",
    HOSTS,
    MARKS,
    st.one_of(st.just(""), HOSTS),
    st.lists(SEGMENTS, min_size=1, max_size=4),
)


@given(st.lists(st.one_of(URLS, STRANGE), max_size=5))
@settings(deadline=None)
def test_only_hosts_on_the_list_are_reached(urls: list[str]) -> None:
    """However an address is written."""
    wire = Wire("*")
    proxy = CodeProxy(hosts=("github.com",), network=wire)

    async def scenario() -> None:
        for url in ["https://github.com/owner/udfs/tree/main/x", *urls]:
            with pytest.raises(TileserverError):
                await proxy.udf(url)

    asyncio.run(scenario())
    assert set(wire.reached) == {"raw.githubusercontent.com"}
