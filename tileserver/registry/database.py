"""The database: opened, brought to the current schema, and spoken to in transactions."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, text
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tileserver.errors import SetupError

CURRENT: Final = "0006"
"""The newest migration."""
_PRAGMAS: Final = ("busy_timeout=5000", "synchronous=FULL", "foreign_keys=ON")
_BUSY_SECONDS: Final = 5.0


class Database:
    """One SQLite file through SQLAlchemy."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.engine: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{place}", hide_parameters=True)
        event.listen(self.engine.sync_engine, "connect", _set_pragmas)
        event.listen(self.engine.sync_engine, "begin", _begin_immediate)

    async def open(self) -> None:
        """Bring the schema up to date.

        Raises:
            SetupError: the file is no registry, or one from a newer version.
        """
        try:
            await _prepare(self.place)
            revision = await self._revision()
            if revision != CURRENT:
                await self._migrate(revision)
            self.place.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise SetupError(f"the registry {self.place} cannot be used: {error}") from None
        except DatabaseError as error:
            raise SetupError(f"the registry {self.place} cannot be used: {error.orig}") from None

    async def _revision(self) -> str | None:
        async with self.engine.connect() as connection:
            try:
                return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            except SQLAlchemyError as error:
                if "no such table" in str(error):
                    return None
                raise

    async def _migrate(self, revision: str | None) -> None:
        if revision is not None and revision > CURRENT:
            raise SetupError(
                f"the registry {self.place} was written by a newer version; upgrade tileserver, or use --data-dir"
            )
        from tileserver.registry.migrate import upgrade  # alembic is slow to import, and rarely needed

        async with self.engine.begin() as connection:
            await connection.run_sync(upgrade)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that only reads."""
        async with self.engine.connect() as connection:
            await connection.execution_options(reads_only=True)
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, or not at all."""
        async with self.engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


async def _prepare(place: Path) -> None:
    """Make the file and switch it to WAL, which stays with it.

    By `sqlite3` itself: the thread of an aiosqlite connection that cannot be opened outlives the event loop, and
    complains. The switch does not wait for other servers that start, whatever the timeout, hence the loop.
    """
    os.close(os.open(place, os.O_RDWR | os.O_CREAT, 0o600))  # its companions -wal and -shm take its mode
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            with contextlib.closing(sqlite3.connect(place)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        await asyncio.sleep(0.02)


def _set_pragmas(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # sqlite3 would otherwise begin by itself, and not immediately
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    """A writer that turned into one late could find the database changed under it, and fail."""
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
