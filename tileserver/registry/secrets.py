"""Secrets: what an account's functions need to know and nobody else may, sealed in the database."""

import re
from typing import Final

from sqlalchemy import delete, func, insert, select

from tileserver.errors import ConflictError, InvalidParameterError
from tileserver.registry.database import Database
from tileserver.registry.generation import Generation
from tileserver.registry.schema import now, secret
from tileserver.tokens import Keyring

KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", re.ASCII)
VALUE_LIMIT: Final = 64_000
"""Bytes of a value."""
COUNT_LIMIT: Final = 100
"""Secrets of one account: all of them go to each of its workers."""


class Secrets:
    """By account, then by key; read from memory where nothing has changed."""

    def __init__(self, database: Database, keyring: Keyring, generation: Generation) -> None:
        self._database, self._keyring, self._generation = database, keyring, generation
        self._known: dict[str, dict[str, str]] = {}
        self._seen = generation.value

    async def of(self, account_id: str) -> dict[str, str]:
        """All secrets of an account."""
        generation = self._generation.value
        if generation != self._seen:
            self._known.clear()
            self._seen = generation
        known = self._known.get(account_id)
        return dict(known if known is not None else await self._load(account_id))

    async def put(self, account_id: str, key: str, value: str) -> None:
        """Keep a secret under a key, in the place of the one that was there.

        Raises:
            InvalidParameterError: no key or value can be like this.
            ConflictError: the account has as many as it may.
        """
        _check(key, value)
        sealed = self._keyring.seal(value, _row(account_id, key))
        this = (secret.c.account_id == account_id) & (secret.c.key == key)
        row = {"account_id": account_id, "key": key, "sealed": sealed, "updated": now()}
        async with self._database.change() as connection:
            await connection.execute(delete(secret).where(this))
            count = select(func.count()).where(secret.c.account_id == account_id)
            if ((await connection.execute(count)).scalar() or 0) >= COUNT_LIMIT:
                raise ConflictError(f"An account may have {COUNT_LIMIT} secrets; delete one first.")
            await connection.execute(insert(secret).values(**row))

    async def delete(self, account_id: str, key: str) -> None:
        """Forget a secret."""
        async with self._database.change() as connection:
            await connection.execute(delete(secret).where((secret.c.account_id == account_id) & (secret.c.key == key)))

    async def _load(self, account_id: str) -> dict[str, str]:
        before = self._generation.value
        query = select(secret.c.key, secret.c.sealed).where(secret.c.account_id == account_id).order_by(secret.c.key)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = {row.key: self._keyring.unseal(row.sealed, _row(account_id, row.key)) for row in rows}
        if before == self._generation.value == self._seen:
            self._known[account_id] = found
        return found


def _row(account_id: str, key: str) -> str:
    """What a value is bound to: copied into another row it cannot be read."""
    return f"secret/{account_id}/{key}"


def _check(key: str, value: str) -> None:
    if not KEY.fullmatch(key):
        raise InvalidParameterError("A secret's key is 1 to 128 letters, digits and _.-, not beginning with a digit.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidParameterError("A secret's value is text in Unicode.") from None
    if size > VALUE_LIMIT:
        raise InvalidParameterError(f"A secret's value is at most {VALUE_LIMIT} bytes.")
