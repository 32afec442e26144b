"""Connections to public addresses only, so that nobody reaches through this server what only it can reach."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

import httpcore2

from tileserver.errors import ForbiddenError

_CONNECT_SECONDS: Final = 3.0
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves a name once and connects to what it checked: a name that changes its mind in between gains nothing."""

    def __init__(self) -> None:
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - as the library calls it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first public address that answers.

        Raises:
            ForbiddenError: the name has none.
            ConnectError: none answers, or there is no such name.
        """
        failure: Exception = httpcore2.ConnectError("no such host")
        for address in await _public_addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


async def _public_addresses(host: str, port: int) -> list[str]:
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = [str(place[0]) for *_, place in answers]
    public = [each for each in addresses if is_public(each)]
    if addresses and not public:
        raise ForbiddenError(f"'{host}' is inside a private network, which no code is read from; use a code mirror.")
    return public


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet; an address of version 4 inside one of 6 counts as itself."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or _behind_nat64(address) or address
    return address.is_global and not address.is_multicast


def _behind_nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
