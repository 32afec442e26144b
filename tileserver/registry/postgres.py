"""The database on a PostgreSQL server, for hosts that are one service.

Who writes says so: `change` counts what others have in memory, and its one row makes writers follow each other, as a
file's lock does; all others hear of it (LISTEN), or see the count a second later.
"""

import asyncio
import contextlib
import time
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tileserver.errors import BusyError, InvalidParameterError, SetupError, TileserverError
from tileserver.registry.database import GONE, Database
from tileserver.registry.generation import Generation
from tileserver.registry.schema import change

_CHANNEL: Final = "tileserver"
_SECONDS: Final = 5
"""For which a connection or an answer is waited for."""
_CONNECTIONS: Final = 4
"""Of a process at rest; twice as many at most, one of which listens. PostgreSQL has 100 as it comes."""
_MIGRATING: Final = 7_423_190_551
"""A lock of PostgreSQL's that servers which start at once take in turn: no other program's, most likely."""
_MIGRATING_SECONDS: Final = 60
_READS: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""A token's row and what was cleared of its UDF are of one moment."""
_SESSION: Final = {
    # a host that stands still, or is cut off, lets go of the row that all writers wait for
    "idle_in_transaction_session_timeout": "4s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}
_OPTIONS: Final = {"host", "port", "ssl", "target_session_attrs"}
"""Of an address, beside its password."""
_PASSING: Final = ("08", "40", "53", "57")
"""Classes of SQLSTATE: no connection, a transaction that has to be repeated, no room, and a server that stops."""
_READ_ONLY: Final = "25006"
"""Of a standby, which may be the primary in a moment."""
_NO_TEXT: Final = "22021"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_UNREADABLE: Final = "the registry's address cannot be read; it is postgresql://USER:PASSWORD@HOST/NAME"
_PORTS: Final = range(1, 2**16)


class PostgresDatabase(Database):
    """Through asyncpg."""

    turn = (select(change.c.number).with_for_update(),)

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
        self.errors = OSError, asyncpg.PostgresError, asyncpg.InterfaceError
        self.unreachable = *self.errors, PoolTimeoutError
        url = _url(address)
        engine = create_async_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            pool_pre_ping=True,
            pool_timeout=_SECONDS,
            connect_args={"timeout": _SECONDS, "command_timeout": _SECONDS, "server_settings": _SESSION},
        )
        super().__init__(engine, url.set(drivername="postgresql").render_as_string(), generation, _READS)
        heard = select(func.pg_notify(_CHANNEL, generation.mark))  # which goes out with the commit
        self.said = update(change).values(number=change.c.number + 1), heard

    async def _alone(self, connection: AsyncConnection) -> None:
        until = time.monotonic() + _MIGRATING_SECONDS
        while not (await connection.execute(select(func.pg_try_advisory_xact_lock(_MIGRATING)))).scalar():
            if time.monotonic() > until:
                raise SetupError(f"another server is migrating the registry {self.name}; start this one later")
            await asyncio.sleep(0.1)

    async def _watching(self) -> AsyncConnection:
        watch = await self.engine.connect()
        try:
            await watch.execution_options(isolation_level="AUTOCOMMIT")
            raw: Any = (await watch.get_raw_connection()).driver_connection
            await raw.add_listener(_CHANNEL, self._hear)
        except BaseException:
            await self._unwatch(watch)
            raise
        return watch

    def _hear(self, _connection: Any, _process: int, _channel: str, mark: str) -> None:
        """Of the host that wrote: this one has counted it already."""
        if mark != self._generation.mark:
            with contextlib.suppress(ValueError):  # it was closed, and this connection has not yet ended
                self._generation.bump()

    async def _version(self, watch: AsyncConnection) -> int:
        return int((await watch.execute(select(change.c.number))).scalar() or 0)

    async def _unwatch(self, watch: AsyncConnection) -> None:
        """Ended, and not given back: it has a listener."""
        try:
            with contextlib.suppress(*self.errors):
                await asyncio.shield(watch.invalidate())
        finally:
            await super()._unwatch(watch)

    def _told(self, error: DBAPIError) -> TileserverError | None:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state == _NO_TEXT:
            return InvalidParameterError("Text cannot hold the character NUL.")
        # without a statement it failed of connecting, or of the end of a transaction
        may_pass = error.statement is None or state[:2] in _PASSING or state == _READ_ONLY
        return BusyError(GONE) if may_pass else super()._told(error)


def _url(address: str) -> URL:
    """For asyncpg, with the names that it has for what libpq's addresses have."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise SetupError(_UNREADABLE) from None
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    password = query.pop("password", url.password)
    unknown = set(query) - _OPTIONS
    if unknown:
        raise SetupError(f"the registry's address has '{min(unknown)}', which is not understood")
    if url.port not in (None, *_PORTS) or not isinstance(password, str | None):
        raise SetupError(_UNREADABLE)
    return url.set(drivername="postgresql+asyncpg", query=query, password=password)
