"""From a token to its UDF without waiting: rows in memory, dropped whenever anything changed."""

import json
from enum import Enum
from typing import Any, Final

from cachetools import LRUCache, TTLCache
from sqlalchemy import select

from tileserver.bans import Bans
from tileserver.caps import caps_of
from tileserver.registry.clearings import bans_of
from tileserver.registry.database import Database
from tileserver.registry.generation import Generation
from tileserver.registry.records import Account, Grant
from tileserver.registry.schema import account, shared_token, udf, udf_version
from tileserver.registry.sharing import AUTHORED, addressed, open_to_all, preferred, shared, visible
from tileserver.tokens import Keyring, shape


class NotInMemory(Enum):
    """What `resolve` says where only the database knows."""

    UNKNOWN_YET = "unknown yet"


UNKNOWN_YET: Final = NotInMemory.UNKNOWN_YET
_FIELDS: Final = (
    udf.c.id.label("udf_id"),
    udf.c.account_id,
    udf.c.name,
    udf.c.digest,
    udf.c.file,
    udf.c.epoch,
    udf.c.floor,
    account.c.calls_per_day.label("account_calls"),
    udf_version.c.code,
    udf_version.c.headers,
    udf_version.c.record,
    udf_version.c.facts,
    udf_version.c.kind,
)
_CURRENT: Final = (udf_version.c.udf_id == udf.c.id) & (udf_version.c.digest == udf.c.digest)
_ENABLED: Final = (
    select(
        shared_token.c.id.label("token_id"),
        shared_token.c.cache,
        shared_token.c.shared_cache,
        shared_token.c.expose_errors,
        shared_token.c.calls_per_day.label("token_calls"),
        *_FIELDS,
    )
    .select_from(shared_token)
    .join(udf, udf.c.id == shared_token.c.udf_id)
    .join(account, account.c.id == udf.c.account_id)
    .join(udf_version, _CURRENT)
    .where(shared_token.c.enabled & udf.c.present)
)
_BY_TOKEN: Final = _ENABLED.where(open_to_all())
_BY_NAME: Final = select(*_FIELDS).select_from(AUTHORED).join(udf_version, _CURRENT).where(udf.c.present)
_NO_TOKEN: Final = {"token_id": "", "cache": True, "shared_cache": False, "expose_errors": False, "token_calls": None}


_Key = str | tuple[str, ...]
"""A token, or what else opens a UDF."""


class Lookup:
    """Grants by token, and by name."""

    def __init__(self, database: Database, keyring: Keyring, generation: Generation) -> None:
        self._database, self._keyring, self._generation = database, keyring, generation
        self._grants: LRUCache[_Key, Grant] = LRUCache(10_000)
        self._unknown: TTLCache[_Key, bool] = TTLCache(10_000, 1)
        self._seen = generation.value

    def resolve(self, token: str) -> Grant | NotInMemory | None:
        """What the token opens; None where it opens nothing; UNKNOWN_YET where `load` has to ask."""
        generation = self._generation.value
        if generation != self._seen:
            self._forget(generation)
        if shape(token) != "shared":  # what else is kept here is no token
            return None
        grant = self._grants.get(token)
        if grant is not None:
            return grant
        return None if token in self._unknown else UNKNOWN_YET

    async def load(self, token: str) -> Grant | None:
        """What the token opens, from the database; kept only if nothing changed while it was read."""
        return await self._load(token, _BY_TOKEN.where(shared_token.c.mac == self._keyring.mac(token)))

    async def load_for(self, token: str, asking_id: str) -> Grant | None:
        """What the token opens to an account of its owner's team, though it be for that team only.

        No cache on the way to that account may keep what it opens for others.
        """
        query = _ENABLED.where((shared_token.c.mac == self._keyring.mac(token)) & shared(asking_id))
        return await self._known(("team", asking_id, token), query, {"shared_cache": False})

    async def opened(self, token_id: str) -> Grant | None:
        """What a token opens of which only the number is known, as of one that a function used."""
        return await self._known(("token", token_id), _BY_TOKEN.where(shared_token.c.id == token_id))

    async def named(self, account_id: str, name: str, asking_id: str = "") -> Grant | None:
        """An account's UDF by its name, as if a token had opened it, if who asks may see it: by default the account."""
        asking_id = asking_id or account_id
        query = _BY_NAME.where((udf.c.account_id == account_id) & (udf.c.name == name) & visible(asking_id))
        return await self._known(("name", account_id, name, asking_id), query, _NO_TOKEN)

    async def seen(self, asking: Account, who: str, slug: str) -> Grant | None:
        """What an account may run of `who`: its own e-mail address or handle, another's, `team` or `public`."""
        return await self.seen_by(asking.id, who, slug)

    async def seen_by(self, asking_id: str, who: str, slug: str) -> Grant | None:
        """The same for who asks in an account's name, as its functions do."""
        query = _BY_NAME.where(addressed(asking_id, who) & (udf.c.name == slug)).order_by(*preferred(asking_id))
        return await self._known(("seen", asking_id, who, slug), query, _NO_TOKEN)

    async def _known(self, key: _Key, query: Any, extra: dict[str, Any] | None = None) -> Grant | None:
        """From memory where nothing has changed since; else from the database."""
        if self._generation.value != self._seen:
            self._forget(self._generation.value)
        return self._grants[key] if key in self._grants else await self._load(key, query, extra)

    async def _load(self, key: _Key, query: Any, extra: dict[str, Any] | None = None) -> Grant | None:
        before = self._generation.value
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
            bans = await bans_of(connection, row.udf_id, row.epoch, row.floor) if row else Bans()
        grant = _grant(row, {**(extra or {}), "bans": bans}) if row else None
        if before == self._generation.value == self._seen:
            if grant is None:
                self._unknown[key] = True
            else:
                self._grants[key] = grant
        return grant

    def _forget(self, generation: int) -> None:
        self._grants.clear()
        self._unknown.clear()
        self._seen = generation


def _grant(row: Any, extra: dict[str, Any]) -> Grant:
    fields = {**row._mapping, **extra, "headers": json.loads(row.headers)}
    account_calls, token_calls, *_ = (fields.pop(name) for name in ("account_calls", "token_calls", "epoch", "floor"))
    return Grant(**fields, caps=caps_of(row.account_id, account_calls, fields["token_id"], token_calls))
