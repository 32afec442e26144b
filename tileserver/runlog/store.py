"""The file of the log: SQLite, which several servers may write at once. For one thread.

A file that cannot be used is put aside and a new one begun: a log is never a reason to fail.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

_LOG: Final = logging.getLogger("tileserver.runlog")
KEPT: Final = 200
"""Runs of each UDF."""
_BUSY_SECONDS: Final = 5.0
_PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM})
"""Trouble that another file would have as well."""
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY AUTOINCREMENT, udf_id TEXT NOT NULL, record BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS run_of_udf ON run (udf_id, id);
INSERT INTO sqlite_sequence SELECT 'run', {first} WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'run');
COMMIT;
"""
_APPEND: Final = "INSERT INTO run (udf_id, record) VALUES (?, ?)"
_PRUNE: Final = f"""
DELETE FROM run WHERE udf_id = :udf
    AND id <= (SELECT id FROM run WHERE udf_id = :udf ORDER BY id DESC LIMIT 1 OFFSET {KEPT})
"""  # noqa: S608 - a number of ours
_NEWEST: Final = "SELECT id, record FROM run WHERE udf_id = ? ORDER BY id DESC LIMIT ?"
_BEHIND: Final = "SELECT id, record FROM run WHERE udf_id = ? AND id > ? ORDER BY id LIMIT ?"


class Record(NamedTuple):
    """A run on its way into the file."""

    udf_id: str
    json: bytes


class Store:
    """The file, opened at the first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        """The inode that the connection was made for."""

    def append(self, records: Iterable[Record]) -> bool:
        """True: records are written, and what is above `KEPT` of their UDFs is dropped; all or nothing.

        Raises:
            OSError, sqlite3.Error: neither this file nor a new one can be written now.
        """
        return self._attempt(lambda connection: _append(connection, list(records)))

    def newest(self, udf_id: str, limit: int) -> list[tuple[int, bytes]]:
        """Ids and JSON of a UDF's newest runs, the newest last; raises like `append`."""
        return self._attempt(lambda connection: connection.execute(_NEWEST, (udf_id, limit)).fetchall())[::-1]

    def behind(self, udf_id: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Ids and JSON of the first of a UDF's runs behind an id; raises like `append`."""
        return self._attempt(lambda connection: connection.execute(_BEHIND, (udf_id, after, limit)).fetchall())

    def forget(self, udf_id: str) -> None:
        """Drop a UDF's runs; raises like `append`."""
        self._attempt(lambda connection: connection.execute("DELETE FROM run WHERE udf_id = ?", (udf_id,)))

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._opened())
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise
            self._put_aside(str(error))
            return work(self._opened())

    def _opened(self) -> sqlite3.Connection:
        """The connection; a new one where the file has gone or another has taken its place."""
        if self._connection is not None and self._file == _inode(self.path):
            return self._connection
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _inode(self.path)  # also of what cannot be opened, so that it can be put aside
        self._connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        # Ids go on growing in a new file: who follows the log has seen some of the old one's.
        self._connection.executescript(_SCHEMA.format(first=time.time_ns() // 1_000_000))
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
        _LOG.warning(
            "warning: the log of runs cannot be used (%s): it is now %s, and a new one is begun", reason, aside
        )


def _append(connection: sqlite3.Connection, records: list[Record]) -> bool:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_APPEND, records)
        connection.executemany(_PRUNE, [{"udf": udf_id} for udf_id in {each.udf_id for each in records}])
    return True


def _inode(path: Path) -> int:
    """0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
