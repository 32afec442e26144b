"""The database: opened, brought to the current schema, spoken to in transactions, and watched for what others write."""

import abc
import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Executable, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tileserver.errors import BusyError, SetupError, TileserverError
from tileserver.registry.generation import Generation

CURRENT: Final = "0007"
"""The newest migration."""
_CLOSING: Final = 5
"""Seconds."""
GONE: Final = "The server cannot reach its registry; try again in a moment."


class Database(abc.ABC):
    """Of one kind or another, through SQLAlchemy."""

    errors: tuple[type[Exception], ...]
    """What the driver raises beside SQLAlchemy's own."""
    unreachable: tuple[type[Exception], ...] = ()
    """What says that it cannot be reached for now, beside a connection that was lost."""
    turn: tuple[Executable, ...] = ()
    """What a transaction that writes begins with, and waits in for others that do."""
    said: tuple[Executable, ...] = ()
    """What tells other hosts of it, once it is committed."""

    def __init__(self, engine: AsyncEngine, name: str, generation: Generation, reads: dict[str, Any]) -> None:
        """Args:
        name: what messages call it; holds no password.
        generation: the host's count of changes.
        reads: options of connections that only read.
        """
        self.engine, self.name, self._generation, self._reads = engine, name, generation, reads
        self._watch: AsyncConnection | None = None
        self._seen: int | None = None

    async def open(self) -> None:
        """Bring the schema up to date, and begin to watch.

        Raises:
            SetupError: it is no registry, or one from a newer version.
        """
        try:
            if await self._revision() != CURRENT:
                await self._migrate()
            await self.look()
        except BaseException as error:
            await self.close()
            if isinstance(error, (*self.errors, DBAPIError)):
                raise self._unusable(error) from None
            raise

    def _unusable(self, error: BaseException) -> SetupError:
        return SetupError(f"the registry {self.name} cannot be used: {reason(error)}")

    @abc.abstractmethod
    async def _version(self, watch: AsyncConnection) -> int:
        """A number that differs whenever others have written since."""

    async def _revision(self) -> str | None:
        async with self.engine.connect() as connection:
            return await connection.run_sync(_revision)

    async def _migrate(self) -> None:
        async with self.engine.begin() as connection:
            await self._alone(connection)
            revision = await connection.run_sync(_revision)
            if revision is not None and revision > CURRENT:
                raise SetupError(
                    f"the registry {self.name} was written by a newer version; upgrade tileserver, or use --data-dir"
                )
            from tileserver.registry.migrate import upgrade  # alembic is slow to import, and rarely needed

            await connection.run_sync(upgrade)

    @abc.abstractmethod
    async def _alone(self, connection: AsyncConnection) -> None:
        """Wait for others that migrate; none does until the transaction ends."""

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that only reads, and sees one moment.

        Raises:
            BusyError: the database cannot be reached.
        """
        async with self._reaching(), self.engine.connect() as connection:
            await connection.execution_options(**self._reads)
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, or not at all; one at a time, whoever writes.

        Raises:
            BusyError: the database cannot be reached.
        """
        async with self._reaching(), self.engine.begin() as connection:
            for statement in self.turn:
                await connection.execute(statement)
            yield connection

    @contextlib.asynccontextmanager
    async def change(self) -> AsyncIterator[AsyncConnection]:
        """The same, of what others have in memory: processes and hosts hear of it.

        However it ends, once it has begun: what a cancelled caller began may have been committed.
        """
        begun = False
        try:
            async with self.write() as connection:
                begun = True
                for statement in self.said:
                    await connection.execute(statement)
                yield connection
        finally:
            if begun:
                self._generation.bump()

    @contextlib.asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        try:
            yield
        except self.unreachable as error:
            raise BusyError(GONE) from error
        except DBAPIError as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error

    def _told(self, error: DBAPIError) -> TileserverError | None:
        """What callers are told in its place, if it is not theirs to know."""
        return BusyError(GONE) if error.connection_invalidated else None

    async def look(self) -> None:
        """Announce what was written since the last look and not said: by another host, or by a process that died.

        The generation is bumped, not only what is in memory dropped: others memoise beside it. Changes that were
        announced are announced once more, since one that was not may hide among them, as while nobody watched.
        """
        unwatched = self._watch is None
        try:
            self._watch = self._watch or await self._watching()
            version = await self._version(self._watch)
        except BaseException:
            await self._forget()
            raise
        if self._seen is not None and (unwatched or version != self._seen):
            self._generation.bump()
        self._seen = version

    async def _watching(self) -> AsyncConnection:
        watch = await self.engine.connect()
        await watch.execution_options(**self._reads)
        return watch

    async def _unwatch(self, watch: AsyncConnection) -> None:
        await watch.close()

    async def _forget(self) -> None:
        """Watch by another connection from now on."""
        watch, self._watch = self._watch, None
        if watch is not None:
            with contextlib.suppress(Exception):  # it was lost already, most likely
                await self._unwatch(watch)

    async def close(self) -> None:
        """Close every connection, as far as that can be done in a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._forget()
                await self.engine.dispose()


def reason(error: BaseException) -> str:
    """One line."""
    wrapped = getattr(error, "orig", None)  # of SQLAlchemy, around its own around the driver's
    found = (wrapped and wrapped.__cause__) or wrapped or error
    return str(found).strip().partition("\n")[0] or type(found).__name__


def _revision(connection: Any) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
