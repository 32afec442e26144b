"""Shared tokens as their owner manages them."""

import json
import uuid
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from tileserver.errors import NotFoundError
from tileserver.registry.database import Database
from tileserver.registry.records import SharedToken, TokenOptions, environment_id
from tileserver.registry.schema import account, now, shared_token, udf
from tileserver.tokens import Keyring, mint_shared

_FIELDS: Final = (
    shared_token.c.id,
    shared_token.c.sealed,
    shared_token.c.udf_id,
    shared_token.c.account_id,
    shared_token.c.enabled,
    shared_token.c.cache,
    shared_token.c.shared_cache,
    shared_token.c.expose_errors,
    shared_token.c.client_id,
    shared_token.c.public_read,
    shared_token.c.access_scope,
    shared_token.c.metadata_json,
    shared_token.c.calls_per_day,
    shared_token.c.updated,
    udf.c.name.label("slug"),
    account.c.email,
    account.c.team,
)
_JOINED: Final = shared_token.join(udf, udf.c.id == shared_token.c.udf_id).join(
    account, account.c.id == shared_token.c.account_id
)


def token_row(keyring: Keyring, token: str, udf_id: str, account_id: str, *, published: bool) -> dict[str, Any]:
    """The row of a new token."""
    token_id = str(uuid.uuid4())
    return {
        "id": token_id,
        "mac": keyring.mac(token),
        "sealed": keyring.seal(token, token_id),
        "udf_id": udf_id,
        "account_id": account_id,
        "enabled": True,
        "cache": True,
        "shared_cache": False,
        "expose_errors": False,
        "published": published,
        "created": now(),
        "updated": now(),
    }


class SharedTokens:
    """Made, read, changed, deleted."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    async def create_token(self, udf_id: str, chosen: TokenOptions | None = None) -> SharedToken:
        """A new token for a UDF.

        Raises:
            NotFoundError: there is no such UDF.
        """
        token = mint_shared()
        async with self._database.change() as connection:
            account_id = (await connection.execute(select(udf.c.account_id).where(udf.c.id == udf_id))).scalar()
            if account_id is None:
                raise NotFoundError
            row = token_row(self._keyring, token, udf_id, account_id, published=False)
            await connection.execute(insert(shared_token).values(**row | _columns(chosen or TokenOptions())))
        made = await self.token(token)
        if made is None:  # somebody deleted it in between
            raise NotFoundError
        return made

    async def token(self, text: str) -> SharedToken | None:
        """A token, enabled or not."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*_FIELDS).select_from(_JOINED).where(self._is(text)))).first()
        return self._record(row) if row else None

    async def tokens(self, account_id: str | None, skip: int, limit: int) -> list[SharedToken]:
        """A page of an account's tokens, or of everybody's, oldest first."""
        query = select(*_FIELDS).select_from(_JOINED)
        if account_id is not None:
            query = query.where(shared_token.c.account_id == account_id)
        async with self._database.read() as connection:
            page = await connection.execute(
                query.order_by(shared_token.c.created, shared_token.c.id).offset(skip).limit(limit)
            )
            return [self._record(row) for row in page]

    async def update_token(self, text: str, changes: TokenOptions) -> SharedToken | None:
        """The token after its change."""
        await self._change(update(shared_token).where(self._is(text)).values(**_columns(changes), updated=now()))
        return await self.token(text)

    async def delete_token(self, text: str) -> SharedToken | None:
        """What the token was."""
        found = await self.token(text)
        await self._change(delete(shared_token).where(self._is(text)))
        return found

    async def _change(self, statement: Any) -> None:
        async with self._database.change() as connection:
            await connection.execute(statement)

    def _is(self, text: str) -> Any:
        return shared_token.c.mac == self._keyring.mac(text)

    def _record(self, row: Any) -> SharedToken:
        values = dict(row._mapping)
        token = self._keyring.unseal(values.pop("sealed"), row.id)
        environment = environment_id(row.account_id, values.pop("team"))
        values["metadata_json"] = json.loads(row.metadata_json) if row.metadata_json else None
        return SharedToken(token=token, environment_id=environment, **values)


def _columns(options: TokenOptions) -> dict[str, Any]:
    """The values of those that were chosen."""
    fields = {name: getattr(options, name) for name in TokenOptions.__struct_fields__}  # a subclass may have more
    chosen = {name: value for name, value in fields.items() if value is not None}
    if "metadata_json" in chosen:
        chosen["metadata_json"] = json.dumps(chosen["metadata_json"])
    if "calls_per_day" in chosen:
        chosen["calls_per_day"] = chosen["calls_per_day"] or None
    return chosen
