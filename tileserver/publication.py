"""From a source to a UDF with a token: parsed, stored as a version, and looked at by a probe."""

import asyncio
from pathlib import Path

import msgspec

from tileserver.errors import TileserverError
from tileserver.grants import Grants
from tileserver.registry import Publication, Registry, Sharing
from tileserver.settling import Settling
from tileserver.signature import parse
from tileserver.udfs import Udf


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF that is served."""

    udf: Udf
    udf_id: str
    token: str | None
    """Its first shared token; None where somebody deleted it."""
    kind: str | None


class Publisher:
    """Stores versions and starts their probes."""

    def __init__(self, registry: Registry, grants: Grants, settling: Settling) -> None:
        self.registry = registry
        self._grants, self._settling = grants, settling

    async def publish_file(self, account_id: str, file: Path, code: str, headers: dict[str, str]) -> Published:
        """Publish a file's UDF under its name.

        Raises:
            PublicationError: the text cannot become a UDF; names file and line.
        """
        udf = parse(code, file=str(file), headers=headers)
        return await self._publish(account_id, udf, code, headers, source="file", file=str(file))

    async def publish_source(
        self,
        account_id: str,
        name: str,
        code: str,
        headers: dict[str, str],
        sharing: Sharing | None = None,
        *,
        entry: str = "",
        renamed: str = "",
    ) -> Published:
        """Publish a source that came through the API under `name`; raises like `publish_file`.

        Args:
            entry: the function's name; needed where the source decorates several, or none.
            renamed: the id of the UDF that has this name from now on.
        """
        udf = await asyncio.to_thread(parse, code, file=f"{name}.py", headers=headers, name=name, entry=entry)
        if renamed:
            await self.registry.publications.rename(renamed, udf.name)
        return await self._publish(account_id, udf, code, headers, source="api", sharing=sharing)

    async def _publish(
        self,
        account_id: str,
        udf: Udf,
        code: str,
        headers: dict[str, str],
        *,
        source: str,
        file: str | None = None,
        sharing: Sharing | None = None,
    ) -> Published:
        stored: Publication = await self.registry.publications.publish(
            account_id,
            name=udf.name,
            digest=udf.digest,
            code=code,
            headers=headers,
            record=msgspec.json.encode(udf).decode(),
            source=source,
            file=file,
            kind=udf.kind,
            sharing=sharing,
        )
        kind = await self._look(stored.token) if stored.token else udf.kind
        return Published(udf=udf, udf_id=stored.udf_id, token=stored.token, kind=kind)

    async def _look(self, token: str) -> str | None:
        """The kind as far as it is known; a probe is started where nobody has looked at the version yet."""
        try:
            grant = await self._grants.of(token)
        except TileserverError:
            return None
        if not grant.facts:
            self._settling.begin(grant)
        return grant.kind
