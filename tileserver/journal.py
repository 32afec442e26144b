"""Files of SQLite in which things are noted that are never a reason to fail. For one thread; many processes may write.

A file that cannot be used is put aside and a new one begun.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

_LOG: Final = logging.getLogger("tileserver")
_BUSY_SECONDS: Final = 5.0
_PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM})
"""Trouble that another file would have as well."""
_ALWAYS: Final = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"


class JournalThread:
    """Where a journal is used, in the order in which it was asked for."""

    def __init__(self, name: str, what: str) -> None:
        """With the thread's name, and how a warning calls the journal."""
        self._thread, self._what = ThreadPoolExecutor(1, name), what
        self._said: set[str] = set()
        """The troubles that nobody need read again."""

    async def attempt(self, work: Callable[[], T], otherwise: T) -> T:
        """What the work returns; where the file cannot be used, `otherwise`, and the trouble is said once."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, sqlite3.Error) as error:
            if str(error) not in self._said:
                _LOG.warning("warning: %s cannot be used: %s", self._what, error)
            self._said.add(str(error))
            return otherwise

    async def close(self, last: Callable[[], None]) -> None:
        """Do a last thing, and end."""
        await self.attempt(last, None)
        self._thread.shutdown()


class Journal:
    """The file, opened at the first use."""

    def __init__(self, path: Path, schema: Callable[[], str], what: str) -> None:
        """Opens nothing yet.

        Args:
            schema: the statements that make a file what it shall be; they leave one that is so as it is.
            what: how a warning calls it, as `the log of runs`.
        """
        self.path, self._schema, self._what = path, schema, what
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        """The inode that the connection was made for."""

    def attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work returns; where the file is damaged it is done once more, on a new one.

        Raises:
            OSError, sqlite3.Error: neither this file nor a new one can be used now.
        """
        try:
            return work(self._opened())
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise
            self._put_aside(str(error))
            return work(self._opened())

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        """The connection; a new one where the file has gone or another has taken its place."""
        if self._connection is not None and self._file == _inode(self.path):
            return self._connection
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _inode(self.path)  # also of what cannot be opened, so that it can be put aside
        self._connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        self._connection.executescript(_ALWAYS + self._schema())
        self._file = _inode(self.path)
        return self._connection

    def _put_aside(self, reason: str) -> None:
        """Rename the file, unless another process has done so already."""
        self.close()
        if self._file != _inode(self.path):
            return
        aside = self.path.with_name(self.path.name + ".damaged")
        for suffix in ("", "-wal", "-shm"):
            if os.path.lexists(f"{self.path}{suffix}"):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        _LOG.warning("warning: %s cannot be used (%s): it is now %s, and a new one is begun", self._what, reason, aside)


def _inode(path: Path) -> int:
    """0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
