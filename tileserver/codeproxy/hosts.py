"""Code over HTTPS: from hosts on a list, with certificates checked and redirections followed inside the list only."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpcore2

from tileserver.codeproxy.address import GITHUB, GITHUB_RAW, Address
from tileserver.codeproxy.folder import FILE_LIMIT, Folder, too_large
from tileserver.errors import ForbiddenError, SourceUnavailableError

_CONNECTIONS: Final = 8
_REDIRECTIONS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ABSENT: Final = frozenset({404, 410})
_HEADERS: Final = [("User-Agent", "tileserver"), ("Accept-Encoding", "identity")]


class CodeHosts:
    """The hosts that code may be read from."""

    def __init__(self, names: tuple[str, ...], network: httpcore2.AsyncNetworkBackend) -> None:
        self._names = frozenset(names) | ({GITHUB_RAW} if GITHUB in names else set())
        self._network = network
        self._certificates = ssl.create_default_context()

    def allows(self, host: str) -> bool:
        """Whether a host is on the list; GitHub brings its host for raw files with it."""
        return host in self._names

    @asynccontextmanager
    async def opened(self, address: Address) -> AsyncIterator[Folder]:
        """The address's folder on its host."""
        async with httpcore2.AsyncConnectionPool(
            ssl_context=self._certificates, max_connections=_CONNECTIONS, network_backend=self._network
        ) as connections:
            yield _Remote(self, connections, _base(address))

    def redirected(self, url: str, location: str) -> str:
        """Where a redirection of `url` leads.

        Raises:
            ForbiddenError: away from the list, or from HTTPS.
        """
        try:
            target = urljoin(url, location)
            scheme, authority, *_ = urlsplit(target)
        except ValueError:
            target = scheme = authority = ""
        if scheme != "https" or not self.allows(authority.lower()):
            raise ForbiddenError(f"'{urlsplit(url).netloc}' leads away from the hosts in TILESERVER_CODE_HOSTS.")
        return target


class _Remote(NamedTuple):
    """A folder on a host."""

    hosts: CodeHosts
    connections: httpcore2.AsyncConnectionPool
    base: str

    async def read(self, name: str) -> bytes | None:
        """A file's contents."""
        url = f"{self.base}/{quote(name)}"
        try:
            for _ in range(_REDIRECTIONS + 1):
                async with self.connections.stream("GET", url, headers=_HEADERS) as response:
                    if response.status not in _REDIRECTS:
                        return await _body(response, url, name)
                    url = self.hosts.redirected(url, _location(response))
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
            raise SourceUnavailableError(f"'{_host(url)}' cannot be reached: {error}") from None
        raise SourceUnavailableError(f"'{_host(url)}' redirects again and again.")


async def _body(response: httpcore2.Response, url: str, name: str) -> bytes | None:
    if response.status in _ABSENT:
        return None
    if response.status != 200:
        raise SourceUnavailableError(f"'{_host(url)}' answers {response.status}; try again later.")
    body = bytearray()
    async for piece in response.aiter_stream():
        body += piece
        if len(body) > FILE_LIMIT:
            raise too_large(name)
    return bytes(body)


def _base(address: Address) -> str:
    """Where the folder's files are as they are; the host itself finds out where the branch's name ends."""
    below = "/".join(quote(each, safe="") for each in address.folder)
    if address.host == GITHUB:
        return f"https://{GITHUB_RAW}/{address.owner}/{address.repository}/{below}"
    return f"https://{address.host}/{address.owner}/{address.repository}/raw/{below}"


def _location(response: httpcore2.Response) -> str:
    return next(
        (value.decode("ascii", "ignore") for name, value in response.headers if name.lower() == b"location"), ""
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc
