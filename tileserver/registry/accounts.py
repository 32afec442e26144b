"""Accounts, their private tokens and their sessions."""

import secrets
import uuid
from typing import Any, Final

from sqlalchemy import delete, insert, select

from tileserver.registry.database import Database
from tileserver.registry.records import Account
from tileserver.registry.schema import account, now, private_token, session
from tileserver.tokens import PRIVATE_PREFIX, Keyring, mint_private

OWNER: Final = "owner@localhost"
LINK_SECONDS: Final = 3600
SESSION_SECONDS: Final = 30 * 86400
_FIELDS: Final = (account.c.id, account.c.email, account.c.handle, account.c.name)


class Accounts:
    """Who is who."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    async def owner(self) -> Account:
        """The account of an embedded server, made at the first call."""
        async with self._database.write() as connection:
            row = (await connection.execute(select(*_FIELDS).where(account.c.email == OWNER))).first()
            if row is None:
                made = Account(id=str(uuid.uuid4()), email=OWNER, handle="owner", name="Owner")
                values = {"id": made.id, "email": made.email, "handle": made.handle, "name": made.name}
                await connection.execute(insert(account).values(**values, created=now()))
                return made
        return Account(**row._mapping)

    async def mint_private_token(self, account_id: str) -> str:
        """A new private token, shown this once."""
        token = mint_private()
        row = {"mac": self._keyring.mac(token), "account_id": account_id, "created": now()}
        async with self._database.write() as connection:
            await connection.execute(insert(private_token).values(**row))
        return token

    async def account_by_private_token(self, token: str) -> Account | None:
        """Whose token it is."""
        if not token.startswith(PRIVATE_PREFIX):
            return None
        return await self._account(private_token, private_token.c.mac == self._keyring.mac(token))

    async def issue_link(self, account_id: str, seconds: int = LINK_SECONDS) -> str:
        """A one-time code that opens a session."""
        return await self._open(account_id, "link", seconds)

    async def redeem_link(self, code: str) -> str | None:
        """A session's secret for a code that nobody has used; the code is gone with it."""
        found = delete(session).where(self._is_live(code, "link")).returning(session.c.account_id)
        async with self._database.write() as connection:
            account_id = (await connection.execute(found)).scalar()
            await connection.execute(delete(session).where(session.c.expires <= now()))
        return await self._open(account_id, "session", SESSION_SECONDS) if account_id else None

    async def account_by_session(self, secret: str) -> Account | None:
        """Whose session it is."""
        return await self._account(session, self._is_live(secret, "session"))

    async def end_session(self, secret: str) -> None:
        """Forget a session."""
        async with self._database.write() as connection:
            await connection.execute(delete(session).where(session.c.mac == self._keyring.mac(secret)))

    async def _open(self, account_id: str, purpose: str, seconds: int) -> str:
        secret = secrets.token_urlsafe(32)
        expires = now() + seconds * 1_000_000
        row = {"mac": self._keyring.mac(secret), "account_id": account_id, "purpose": purpose, "expires": expires}
        async with self._database.write() as connection:
            await connection.execute(insert(session).values(**row))
        return secret

    def _is_live(self, secret: str, purpose: str) -> Any:
        mac = self._keyring.mac(secret)
        return (session.c.mac == mac) & (session.c.purpose == purpose) & (session.c.expires > now())

    async def _account(self, table: Any, condition: Any) -> Account | None:
        query = select(*_FIELDS).join(table, table.c.account_id == account.c.id).where(condition)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return Account(**row._mapping) if row else None
