"""Accounts: who is who, and in which team."""

import uuid
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from tileserver.caps import Cap, caps_of
from tileserver.errors import ConflictError
from tileserver.registry.database import Database
from tileserver.registry.records import OWNER, Account
from tileserver.registry.schema import account, now

FIELDS: Final = (
    account.c.id,
    account.c.email,
    account.c.handle,
    account.c.name,
    account.c.team,
    account.c.calls_per_day,
)
_SAME_ADDRESS: Final = ("account.email", "uq_account_email")
"""What SQLite and PostgreSQL say of one that is taken."""


class Accounts:
    """Made, read, changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self) -> Account:
        """The account of an embedded server, made at the first call."""
        made = Account(id=str(uuid.uuid4()), email=OWNER, handle="owner", name="Owner")
        async with self._database.write() as connection:
            row = (await connection.execute(select(*FIELDS).where(account.c.email == OWNER))).first()
            if row is None:
                await connection.execute(_insertion(made))
        return Account(**row._mapping) if row else made

    async def create(
        self, email: str, *, handle: str, name: str, team: str | None, calls_per_day: int | None = None
    ) -> Account:
        """A new account.

        Raises:
            ConflictError: the address or the handle is taken.
        """
        made = Account(
            id=str(uuid.uuid4()), email=email, handle=handle, name=name, team=team, calls_per_day=calls_per_day
        )
        await self._write(_insertion(made), made.email, made.handle)
        return made

    async def change(self, changed: Account) -> None:
        """Give an account another handle, name, team or cap; raises like `create`."""
        values = _values(changed)
        await self._write(update(account).where(account.c.id == changed.id).values(**values), "", changed.handle)

    async def by_email(self, email: str) -> Account | None:
        """Whose address it is."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*FIELDS).where(account.c.email == email.lower()))).first()
        return Account(**row._mapping) if row else None

    async def caps(self, account_id: str) -> tuple[Cap, ...]:
        """What each call of its UDFs counts towards, whatever opens them."""
        async with self._database.read() as connection:
            row = await connection.execute(select(account.c.calls_per_day).where(account.c.id == account_id))
        return caps_of(account_id, row.scalar())

    async def all(self) -> list[Account]:
        """Every account, the oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(*FIELDS).order_by(account.c.created, account.c.id))
            return [Account(**row._mapping) for row in rows]

    async def team_of(self, member: Account) -> list[Account]:
        """The accounts of its team, or it alone."""
        if member.team is None:
            return [member]
        async with self._database.read() as connection:
            rows = await connection.execute(select(*FIELDS).where(account.c.team == member.team).order_by(account.c.id))
            return [Account(**row._mapping) for row in rows]

    async def _write(self, statement: Any, email: str, handle: str) -> None:
        try:
            async with self._database.change() as connection:  # a team's members see other UDFs at once
                await connection.execute(statement)
        except IntegrityError as error:
            if any(each in str(error.orig) for each in _SAME_ADDRESS):
                raise ConflictError(f"There is an account '{email}' already.") from None
            raise ConflictError(f"Another account has the handle '{handle}'; choose one with --handle.") from None


def _insertion(made: Account) -> Any:
    return insert(account).values(id=made.id, email=made.email, **_values(made), created=now())


def _values(said: Account) -> dict[str, Any]:
    """The columns that may be changed."""
    return {name: getattr(said, name) for name in ("handle", "name", "team", "calls_per_day")}
