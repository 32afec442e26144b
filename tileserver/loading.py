"""Code that functions load: of UDFs whose code they may read, and of such on GitHub."""

import msgspec

from tileserver.codeproxy import CodeProxy
from tileserver.grants import Grants
from tileserver.jobs import Callee, Source
from tileserver.layers import source_of


class Loading:
    """Answers `Fetch`."""

    def __init__(self, grants: Grants, proxy: CodeProxy) -> None:
        self._grants, self._proxy = grants, proxy

    async def code(self, name: str, account_id: str) -> tuple[Source, tuple[Callee, ...]]:
        """The code behind a name, a token or an address, and what whoever runs it then rests on.

        What is elsewhere may change without our knowing: nothing rests on it.

        Raises:
            ForbiddenError: the token opens it, but its code is for its owner; or nothing may be fetched from there.
            NotFoundError: there is none.
            TileserverError: it cannot be read; see `CodeProxy.udf`.
        """
        if "://" in name:
            return await self._fetched(name, account_id), ()
        grant = await self._grants.readable(name, account_id)
        source = source_of(grant, self._grants.udf(grant))
        source = msgspec.structs.replace(source, path=f"{source.name}.py")  # where its owner keeps it is no news
        return source, (Callee(grant.account_id, grant.name, grant.digest, grant.token_id, account_id),)

    async def _fetched(self, url: str, account_id: str) -> Source:
        found = await self._proxy.udf(url)
        return Source(
            digest=found.digest,
            name=found.name,
            code=found.code,
            entry=found.entry,
            headers=found.headers,
            path=f"{found.name}.py",
            fused=True,
            account_id=account_id,
        )
