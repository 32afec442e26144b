"""Code that functions load: of UDFs whose code they may read, and of such on GitHub."""

from typing import Protocol

import msgspec

from tileserver.errors import ForbiddenError
from tileserver.grants import Grants
from tileserver.jobs import Callee, Source
from tileserver.layers import source_of
from tileserver.udfs import digest


class Code(Protocol):
    """A UDF as the code proxy gives it."""

    @property
    def name(self) -> str:
        """The UDF's."""
        ...

    @property
    def code(self) -> str:
        """Its source."""
        ...

    @property
    def entry(self) -> str:
        """The name of its function."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """Its sibling modules."""
        ...


class CodeProxy(Protocol):
    """Who may fetch code from elsewhere."""

    async def udf(self, url: str) -> Code:
        """The UDF at an address; raises TileserverError."""
        ...


class Loading:
    """Answers `Fetch`."""

    def __init__(self, grants: Grants, proxy: CodeProxy | None) -> None:
        self._grants, self._proxy = grants, proxy

    async def code(self, name: str, account_id: str) -> tuple[Source, tuple[Callee, ...]]:
        """The code behind a name, a token or an address, and what whoever runs it then rests on.

        What is elsewhere may change without our knowing: nothing rests on it.

        Raises:
            ForbiddenError: the token opens it, but its code is for its owner; or nothing may be fetched from there.
            NotFoundError: there is none.
        """
        if "://" in name:
            return await self._fetched(name, account_id), ()
        grant = await self._grants.readable(name, account_id)
        source = source_of(grant, self._grants.udf(grant))
        source = msgspec.structs.replace(source, path=f"{source.name}.py")  # where its owner keeps it is no news
        return source, (Callee(grant.account_id, grant.name, grant.digest, grant.token_id),)

    async def _fetched(self, url: str, account_id: str) -> Source:
        if self._proxy is None:
            raise ForbiddenError("this server fetches no code from other places")
        found = await self._proxy.udf(url)
        return Source(
            digest=digest(found.code, found.headers),
            name=found.name,
            code=found.code,
            entry=found.entry,
            headers=found.headers,
            path=f"{found.name}.py",
            fused=True,
            account_id=account_id,
        )
