"""What lets an account in: private tokens, one-time links and sessions. Only their digests are kept."""

import secrets
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select

from tileserver.registry.accounts import FIELDS
from tileserver.registry.database import Database
from tileserver.registry.records import Account
from tileserver.registry.schema import account, now, private_token, session
from tileserver.tokens import PRIVATE_PREFIX, Keyring, mint_private

LINK_SECONDS: Final = 3600
SESSION_SECONDS: Final = 30 * 86400


class Credentials:
    """Issued, recognised, ended."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    async def mint_private_token(self, account_id: str, seconds: int | None = None) -> str:
        """A new private token, shown this once; good for so many seconds, or until it is revoked."""
        token, begun = mint_private(), now()
        expires = None if seconds is None else begun + seconds * 1_000_000
        row = {"mac": self._keyring.mac(token), "account_id": account_id, "expires": expires, "created": begun}
        async with self._database.write() as connection:
            await connection.execute(delete(private_token).where(private_token.c.expires <= begun))
            await connection.execute(insert(private_token).values(**row))
        return token

    async def account_by_private_token(self, token: str) -> Account | None:
        """Whose token it is."""
        if not token.startswith(PRIVATE_PREFIX):
            return None
        lasting = or_(private_token.c.expires.is_(None), private_token.c.expires > now())
        return await self._account(private_token, (private_token.c.mac == self._keyring.mac(token)) & lasting)

    async def revoke(self, account_id: str) -> None:
        """End every private token, link and session of an account."""
        async with self._database.write() as connection:
            for table in (private_token, session):
                await connection.execute(delete(table).where(table.c.account_id == account_id))

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
        query = select(*FIELDS).join(table, table.c.account_id == account.c.id).where(condition)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return Account(**row._mapping) if row else None
