"""Collections: one for each account, with all of its UDFs, and at most one token that opens them by their names."""

from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import insert, select, update

from tileserver.errors import NotFoundError
from tileserver.registry.database import Database
from tileserver.registry.generation import Generation
from tileserver.registry.records import Collection
from tileserver.registry.schema import account, collection, now
from tileserver.tokens import COLLECTION_PREFIX, Keyring, mint_collection

_QUERY: Final = select(
    account.c.id.label("account_id"),
    account.c.handle,
    account.c.team,
    collection.c.sealed,
    collection.c.access_scope,
    collection.c.passcode,
    collection.c.updated,
).select_from(account.outerjoin(collection, collection.c.account_id == account.c.id))
_SCOPE: Final = "team"
"""Before another one is chosen, as in the SDK."""


class Collections:
    """Read, changed, shared; read by token from memory where nothing has changed."""

    def __init__(self, database: Database, keyring: Keyring, generation: Generation) -> None:
        self._database, self._keyring, self._generation = database, keyring, generation
        self._known: LRUCache[str, Collection | None] = LRUCache(1000)
        self._seen = generation.value

    async def by_token(self, token: str) -> Collection | None:
        """What the token is of."""
        generation = self._generation.value
        if generation != self._seen:
            self._known.clear()
            self._seen = generation
        if not token.startswith(COLLECTION_PREFIX):
            return None
        if token in self._known:
            return self._known[token]
        found = await self._one(collection.c.mac == self._keyring.mac(token))
        if generation == self._generation.value == self._seen:
            self._known[token] = found
        return found

    async def of(self, account_id: str) -> Collection:
        """The account's.

        Raises:
            NotFoundError: there is no such account.
        """
        found = await self._one(account.c.id == account_id)
        if found is None:
            raise NotFoundError
        return found

    async def change(self, account_id: str, *, access_scope: str | None, passcode: str | None) -> Collection:
        """Say whom the token is for; None leaves as it is, an empty passcode takes it away."""
        values: dict[str, Any] = {"access_scope": access_scope} if access_scope else {}
        if passcode is not None:
            values["passcode"] = self._keyring.seal(passcode, _passcode_row(account_id)) if passcode else None
        return await self._put(account_id, values)

    async def share(self, account_id: str, *, anew: bool) -> Collection:
        """Give it a token: the one that it has, unless a new one shall take its place."""
        found = await self.of(account_id)
        if found.token is not None and not anew:
            return found
        token = mint_collection()
        sealed = self._keyring.seal(token, _token_row(account_id))
        return await self._put(account_id, {"mac": self._keyring.mac(token), "sealed": sealed})

    async def unshare(self, account_id: str) -> Collection:
        """Take its token away, which opens nothing from then on."""
        return await self._put(account_id, {"mac": None, "sealed": None})

    async def _put(self, account_id: str, values: dict[str, Any]) -> Collection:
        values = values | {"updated": now()}
        this = collection.c.account_id == account_id
        async with self._database.change() as connection:
            if (await connection.execute(select(collection.c.account_id).where(this))).first():
                await connection.execute(update(collection).where(this).values(**values))
            else:
                row = {"account_id": account_id, "access_scope": _SCOPE} | values
                await connection.execute(insert(collection).values(**row))
        return await self.of(account_id)

    async def _one(self, condition: Any) -> Collection | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_QUERY.where(condition))).first()
        return self._record(row) if row else None

    def _record(self, row: Any) -> Collection:
        unseal, account_id = self._keyring.unseal, row.account_id
        return Collection(
            account_id=account_id,
            handle=row.handle,
            team=row.team,
            token=unseal(row.sealed, _token_row(account_id)) if row.sealed else None,
            access_scope=row.access_scope or _SCOPE,
            passcode=unseal(row.passcode, _passcode_row(account_id)) if row.passcode else None,
            updated=row.updated or 0,
        )


def _token_row(account_id: str) -> str:
    """What the sealed token is bound to."""
    return f"collection/{account_id}/token"


def _passcode_row(account_id: str) -> str:
    return f"collection/{account_id}/passcode"
