"""The database as one file in the data directory, for all processes of a host."""

import asyncio
import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tileserver.registry.database import Database
from tileserver.registry.generation import Generation

_PRAGMAS: Final = ("busy_timeout=5000", "synchronous=FULL", "foreign_keys=ON")
_BUSY_SECONDS: Final = 5.0


class SqliteDatabase(Database):
    """SQLite in WAL mode: many read while one writes."""

    errors = OSError, sqlite3.Error

    def __init__(self, place: Path, generation: Generation) -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{place}", hide_parameters=True)
        super().__init__(engine, str(place), generation, {"reads_only": True})
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
        self._place = place

    async def open(self) -> None:
        """Make the file where there is none, and bring its schema up to date; raises like the others."""
        try:
            await _prepare(self._place)
            self._place.chmod(0o600)
        except self.errors as error:
            raise self._unusable(error) from None
        await super().open()

    async def _alone(self, connection: AsyncConnection) -> None:
        """It is: it writes."""

    async def _version(self, watch: AsyncConnection) -> int:
        """A number that only compares within one connection."""
        version = (await watch.execute(text("PRAGMA data_version"))).scalar()
        await watch.rollback()
        return int(version or 0)


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
