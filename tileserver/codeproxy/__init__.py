"""The code proxy: UDFs at addresses on GitHub, from a mirror of clones or over HTTPS, as far as the settings allow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpcore2
from cachetools import TLRUCache

from tileserver.codeproxy.address import GITHUB, Address, parse
from tileserver.codeproxy.folder import Folder
from tileserver.codeproxy.hosts import CodeHosts
from tileserver.codeproxy.layout import Code, collected
from tileserver.codeproxy.mirror import Mirror
from tileserver.codeproxy.network import PublicNetwork
from tileserver.errors import ForbiddenError, SourceUnavailableError
from tileserver.tilecache import Flights

__all__ = ["Code", "CodeProxy"]

SECONDS: Final = 10
"""How long a UDF may take to be read."""
_AT_ONCE: Final = 4
_KEPT_SIZE: Final = 64 * 10**6
"""Characters of the code that is remembered: more than one UDF may have."""
_KEPT_SECONDS: Final = 60
_PINNED_SECONDS: Final = 86400


class CodeProxy:
    """What the settings `code_mirror` and `code_hosts` open; one per server process."""

    def __init__(
        self,
        mirror: Path | None = None,
        hosts: tuple[str, ...] = (),
        network: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        """Args:
            network: what connects to the hosts; None connects to public addresses only.

        Raises:
            SetupError: the mirror cannot be read.
        """
        self._mirror = Mirror(mirror) if mirror else None
        self._hosts = CodeHosts(hosts, network or PublicNetwork()) if hosts else None
        self._known: TLRUCache[Address, Code] = TLRUCache(_KEPT_SIZE, _expiry, getsizeof=_size)
        self._flights: Flights[Code] = Flights()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def udf(self, url: str) -> Code:
        """The UDF at an address, not more than a minute old.

        Raises:
            ForbiddenError: the settings do not allow it; names the one that would.
            InvalidParameterError: it is no address of a UDF, or a file is too large.
            NotFoundError: there is no such branch or file.
            PublicationError: what is there is no UDF.
            SourceUnavailableError: the mirror or the host does not answer, or not in time.
        """
        address = parse(url)
        known = self._known.get(address)
        if known is None:
            known, _ = await self._flights.join(address, lambda: self._fetched(address))
        return known

    async def _fetched(self, address: Address) -> Code:
        try:
            async with asyncio.timeout(SECONDS), self._slots, self._folder(address) as folder:
                code = await collected(folder, address)
        except TimeoutError:
            raise SourceUnavailableError(f"Reading {address.place} took more than {SECONDS} seconds.") from None
        self._known[address] = code
        return code

    @asynccontextmanager
    async def _folder(self, address: Address) -> AsyncIterator[Folder]:
        """The address's folder: in the mirror where that has a clone, else on its host."""
        clone = await self._mirror.clone(address) if self._mirror and address.host == GITHUB else None
        if self._mirror and clone:
            async with self._mirror.opened(clone, address) as folder:
                yield folder
        elif self._hosts and self._hosts.allows(address.host):
            async with self._hosts.opened(address) as folder:
                yield folder
        else:
            raise _forbidden(address)


def _forbidden(address: Address) -> ForbiddenError:
    mirror = "a clone of it in TILESERVER_CODE_MIRROR, or " if address.host == GITHUB else ""
    return ForbiddenError(
        f"This server may not read {address.place}; {mirror}'{address.host}' in TILESERVER_CODE_HOSTS allows it."
    )


def _size(code: Code) -> int:
    return len(code.code) + sum(map(len, code.headers.values()))


def _expiry(address: Address, _: Code, now: float) -> float:
    return now + (_PINNED_SECONDS if address.pinned else _KEPT_SECONDS)
