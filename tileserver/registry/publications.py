"""UDFs and their versions."""

import json
import uuid
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tileserver.registry.database import Database
from tileserver.registry.records import Publication, Sharing, StoredUdf
from tileserver.registry.schema import account, now, shared_token, udf, udf_version
from tileserver.registry.shared_tokens import token_row
from tileserver.registry.sharing import AUTHORED, addressed, listed, preferred, shared, visible
from tileserver.tokens import Keyring, mint_shared

_FIELDS: Final = (
    udf.c.id,
    udf.c.account_id,
    account.c.email,
    udf.c.name,
    udf.c.digest,
    udf.c.source,
    udf.c.file,
    udf.c.present,
    udf.c.allow_public_read,
    udf.c.allow_public_list,
    udf.c.updated,
    udf_version.c.code,
    udf_version.c.headers,
    udf_version.c.record,
    udf_version.c.kind,
)
_CURRENT: Final = (udf_version.c.udf_id == udf.c.id) & (udf_version.c.digest == udf.c.digest)
_STORED: Final = select(*_FIELDS).select_from(AUTHORED).join(udf_version, _CURRENT)


class Publications:
    """What is published, in which version."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    async def publish(
        self,
        account_id: str,
        *,
        name: str,
        digest: str,
        code: str,
        headers: dict[str, str],
        record: str,
        source: str,
        file: str | None,
        kind: str | None,
        sharing: Sharing | None = None,
    ) -> Publication:
        """Make this version the current one of the account's UDF of that name, which is made where it is new.

        The first publication of a file mints a token; it stays, and once deleted it is not minted again.
        """
        version = {"code": code, "headers": json.dumps(headers, sort_keys=True), "record": record, "kind": kind}
        current = {"digest": digest, "source": source, "file": file} | _chosen(sharing)
        async with self._database.change() as connection:
            udf_id = await self._set_current(connection, account_id, name, current)
            await _add_version(connection, udf_id, digest, version)
            token = await self._token(connection, udf_id, account_id) if source == "file" else None
        return Publication(udf_id=udf_id, token=token)

    async def _set_current(
        self, connection: AsyncConnection, account_id: str, name: str, current: dict[str, Any]
    ) -> str:
        current = current | {"present": True, "updated": now()}
        found = select(udf.c.id).where((udf.c.account_id == account_id) & (udf.c.name == name))
        udf_id = (await connection.execute(found)).scalar()
        if udf_id:
            await connection.execute(update(udf).where(udf.c.id == udf_id).values(**current))
            return str(udf_id)
        made = {"id": str(uuid.uuid4()), "account_id": account_id, "name": name, "created": now()}
        await connection.execute(insert(udf).values(**made, **current, epoch=0, has_token=False))
        return made["id"]  # type: ignore[return-value]

    async def _token(self, connection: AsyncConnection, udf_id: str, account_id: str) -> str | None:
        minted = (await connection.execute(select(udf.c.has_token).where(udf.c.id == udf_id))).scalar()
        if minted:
            kept = select(shared_token.c.sealed, shared_token.c.id).where(
                (shared_token.c.udf_id == udf_id) & shared_token.c.published
            )
            row = (await connection.execute(kept)).first()
            return self._keyring.unseal(row.sealed, row.id) if row else None
        token = mint_shared()
        values = token_row(self._keyring, token, udf_id, account_id, published=True)
        await connection.execute(insert(shared_token).values(**values))
        await connection.execute(update(udf).where(udf.c.id == udf_id).values(has_token=True))
        return token

    async def rename(self, udf_id: str, name: str) -> None:
        """Give a UDF another name, unless its account has one of that name."""
        other = udf.alias()
        taken = select(other.c.id).where((other.c.account_id == udf.c.account_id) & (other.c.name == name))
        await self._change(update(udf).where((udf.c.id == udf_id) & ~taken.exists()).values(name=name))

    async def withdraw(self, udf_id: str) -> None:
        """A file has gone: its tokens answer nothing until it is back."""
        await self._change(update(udf).where(udf.c.id == udf_id).values(present=False))

    async def learn(self, udf_id: str, digest: str, *, kind: str | None, facts: str) -> None:
        """Keep what a probe found out about a version."""
        which = (udf_version.c.udf_id == udf_id) & (udf_version.c.digest == digest)
        await self._change(update(udf_version).where(which).values(kind=kind, facts=facts))

    async def delete_udf(self, udf_id: str) -> None:
        """Delete a UDF with its versions and tokens."""
        await self._change(delete(udf).where(udf.c.id == udf_id))

    async def udf(self, udf_id: str) -> StoredUdf | None:
        """A UDF by its id."""
        return await self._one(_STORED.where(udf.c.id == udf_id))

    async def udf_by_name(self, account_id: str, name: str) -> StoredUdf | None:
        """A UDF of an account by its name."""
        return await self._one(_STORED.where((udf.c.account_id == account_id) & (udf.c.name == name)))

    async def seen(self, asking_id: str, udf_id: str) -> StoredUdf | None:
        """A UDF by its id, if the account may see it."""
        return await self._one(_STORED.where((udf.c.id == udf_id) & visible(asking_id)))

    async def seen_by_name(self, asking_id: str, who: str, name: str) -> StoredUdf | None:
        """What an account sees of `who` under a name; see `Lookup.seen`."""
        query = _STORED.where(addressed(asking_id, who) & (udf.c.name == name))
        return await self._one(query.order_by(*preferred(asking_id)))

    async def udfs(self, account_id: str, skip: int, limit: int) -> list[StoredUdf]:
        """A page of an account's UDFs, oldest first."""
        return await self._page(udf.c.account_id == account_id, skip, limit)

    async def team_udfs(self, asking_id: str, skip: int, limit: int) -> list[StoredUdf]:
        """A page of the UDFs of an account and its team, oldest first."""
        return await self._page(shared(asking_id), skip, limit)

    async def public_udfs(self, skip: int, limit: int) -> list[StoredUdf]:
        """A page of the UDFs that every account finds, oldest first."""
        return await self._page(listed(), skip, limit)

    async def _page(self, condition: ColumnElement[bool], skip: int, limit: int) -> list[StoredUdf]:
        query = _STORED.where(condition).order_by(udf.c.created, udf.c.id).offset(skip).limit(limit)
        async with self._database.read() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def _one(self, query: Any) -> StoredUdf | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return _stored(row) if row else None

    async def _change(self, statement: Any) -> None:
        async with self._database.change() as connection:
            await connection.execute(statement)


async def _add_version(connection: AsyncConnection, udf_id: str, digest: str, version: dict[str, Any]) -> None:
    which = (udf_version.c.udf_id == udf_id) & (udf_version.c.digest == digest)
    if (await connection.execute(select(udf_version.c.digest).where(which))).first() is None:
        await connection.execute(insert(udf_version).values(udf_id=udf_id, digest=digest, created=now(), **version))


def _chosen(sharing: Sharing | None) -> dict[str, bool]:
    if sharing is None:
        return {}
    return {name: value for name, value in msgspec.structs.asdict(sharing).items() if value is not None}


def _stored(row: Any) -> StoredUdf:
    return StoredUdf(**{**row._mapping, "headers": json.loads(row.headers)})
