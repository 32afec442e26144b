"""The file of the log, and what is asked of it. For one thread."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tileserver.journal import Journal

WHAT: Final = "the log of runs"
"""How warnings call it."""
KEPT: Final = 200
"""Runs of each UDF."""
_SCHEMA: Final = """
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
_OF: Final = "SELECT id, record FROM run WHERE udf_id IN (SELECT value FROM json_each(:udfs))"
_FORWARD: Final = f"{_OF} AND id > :edge ORDER BY id LIMIT :limit"
_BACKWARD: Final = f"{_OF} AND id < :edge ORDER BY id DESC LIMIT :limit"


class Record(NamedTuple):
    """A run on its way into the file."""

    udf_id: str
    json: bytes


Row = tuple[int, bytes]
"""A run's id and JSON."""


class Store:
    """The file. What its methods raise is what `Journal.attempt` raises."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, _schema, WHAT)
        self.close = self._journal.close

    def append(self, records: Iterable[Record]) -> bool:
        """True: records are written, and what is above `KEPT` of their UDFs is dropped; all or nothing."""
        return self._journal.attempt(lambda connection: _append(connection, list(records)))

    def newest(self, udf_id: str, limit: int) -> list[Row]:
        """A UDF's newest runs, the newest last."""
        return self._fetched(_NEWEST, (udf_id, limit))[::-1]

    def behind(self, udf_id: str, after: int, limit: int) -> list[Row]:
        """The first of a UDF's runs behind an id."""
        return self._fetched(_BEHIND, (udf_id, after, limit))

    def page(self, udf_ids: Sequence[str], edge: int | None, limit: int, *, forward: bool) -> list[Row]:
        """Runs of some UDFs in the order of time, or against it, from behind an id on or from the one end."""
        edge = edge if edge is not None else 0 if forward else 2**62
        values = {"udfs": json.dumps(udf_ids), "edge": edge, "limit": limit}
        return self._fetched(_FORWARD if forward else _BACKWARD, values)

    def forget(self, udf_id: str) -> None:
        """Drop a UDF's runs."""
        self._journal.attempt(lambda connection: connection.execute("DELETE FROM run WHERE udf_id = ?", (udf_id,)))

    def _fetched(self, query: str, values: tuple[object, ...] | dict[str, object]) -> list[Row]:
        return self._journal.attempt(lambda connection: connection.execute(query, values).fetchall())


def _schema() -> str:
    """Ids go on growing in a new file: who follows the log has seen some of the old one's."""
    return _SCHEMA.format(first=time.time_ns() // 1_000_000)


def _append(connection: sqlite3.Connection, records: list[Record]) -> bool:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_APPEND, records)
        connection.executemany(_PRUNE, [{"udf": udf_id} for udf_id in {each.udf_id for each in records}])
    return True
