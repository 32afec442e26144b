"""The database on a PostgreSQL server, for hosts that are one service.

Who writes says so: `change` counts the transactions, and its one row makes them follow each other, as a file's lock
does; all others hear of it (LISTEN), or see the count a second later.
"""

import asyncio
import contextlib
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tileserver.errors import SetupError
from tileserver.registry.database import Database
from tileserver.registry.generation import Generation
from tileserver.registry.schema import change

SCHEMES: Final = ("postgresql", "postgres")
_CHANNEL: Final = "tileserver"
_SECONDS: Final = 5
"""For which a connection or an answer is waited for."""
_MIGRATING: Final = 7_423_190_551
"""A lock of PostgreSQL's that servers which start at once take in turn: no other program's, most likely."""
_READS: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""A token's row and what was cleared of its UDF are of one moment."""


class PostgresDatabase(Database):
    """Through asyncpg."""

    locks = (text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"),)

    def __init__(self, address: str, generation: Generation) -> None:
        """Args:
            address: as `postgresql://user:password@host/name`, with `sslmode` as libpq has it.
            generation: the host's count of changes.

        Raises:
            SetupError: it is no such address, or asyncpg is missing.
        """
        try:
            import asyncpg
        except ImportError:
            raise SetupError("a registry in PostgreSQL needs: pip install 'udf-tileserver[postgres]'") from None
        self.errors = self.unreachable = OSError, asyncpg.PostgresError, asyncpg.InterfaceError
        url = _url(address)
        limits = {"timeout": _SECONDS, "command_timeout": _SECONDS}
        engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=limits)
        super().__init__(engine, url.set(drivername="postgresql").render_as_string(), generation, _READS)
        said = text(f"NOTIFY {_CHANNEL}, '{generation.mark}'")  # which goes out with the commit
        self.begins = update(change).values(number=change.c.number + 1), said

    async def _watching(self) -> AsyncConnection:
        watch = await self.engine.connect()
        await watch.execution_options(isolation_level="AUTOCOMMIT")
        raw: Any = (await watch.get_raw_connection()).driver_connection
        await raw.add_listener(_CHANNEL, self._hear)
        return watch

    def _hear(self, *heard: Any) -> None:
        """Of a connection, its process and the channel, whose host wrote: this one has counted it already."""
        if heard[-1] != self._generation.mark:
            self._generation.bump()

    async def _version(self, watch: AsyncConnection) -> int:
        return int((await watch.execute(select(change.c.number))).scalar() or 0)

    async def _unwatch(self, watch: AsyncConnection) -> None:
        """Ended, and not given back: it has a listener."""
        with contextlib.suppress(*self.errors):
            await asyncio.shield(watch.invalidate())
        await super()._unwatch(watch)


def _url(address: str) -> Any:
    parts = urlsplit(address)
    query = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    try:
        return make_url(urlunsplit(("postgresql+asyncpg", parts.netloc, parts.path, urlencode(query), "")))
    except (ArgumentError, ValueError):
        raise SetupError("the registry's address cannot be read; it is postgresql://USER:PASSWORD@HOST/NAME") from None
