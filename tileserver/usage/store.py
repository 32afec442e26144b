"""The file of the counts. For one thread; every process of a host adds to the same."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from tileserver.journal import Journal

WHAT: Final = "the count of calls"
"""How warnings call it."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS usage (
    account_id TEXT NOT NULL, day TEXT NOT NULL, udf_id TEXT NOT NULL, token_id TEXT NOT NULL,
    calls INTEGER NOT NULL, failures INTEGER NOT NULL, cached INTEGER NOT NULL, ms REAL NOT NULL,
    bytes INTEGER NOT NULL, PRIMARY KEY (account_id, day, udf_id, token_id)
) WITHOUT ROWID;
"""
_ADD: Final = """
INSERT INTO usage VALUES (:account_id, :day, :udf_id, :token_id, :calls, :failures, :cached, :ms, :bytes)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, failures = failures + excluded.failures,
    cached = cached + excluded.cached, ms = ms + excluded.ms, bytes = bytes + excluded.bytes
"""
_OF: Final = """
SELECT account_id, day, udf_id, token_id, calls, failures, cached, ms, bytes FROM usage
WHERE account_id = ? AND day >= ? ORDER BY day, udf_id, token_id
"""
_CALLS: Final = """
SELECT coalesce(sum(calls), 0) FROM usage WHERE account_id = ? AND day = ? AND token_id = coalesce(?, token_id)
"""

Subject = tuple[str, str | None, str]
"""Whose calls a cap is about: account, token or None for all of its tokens, and day."""


class Day(msgspec.Struct, kw_only=True):
    """What was asked of a UDF through a token on a day."""

    account_id: str
    """Whose UDF it is."""
    day: str
    """ISO 8601, UTC."""
    udf_id: str
    """Of a source that came with a request, its account's id."""
    token_id: str
    """Empty where no token opened it, but its name."""
    calls: int = 0
    failures: int = 0
    """Calls that ended in an error of the function."""
    cached: int = 0
    """Calls that no run was needed for."""
    ms: float = 0.0
    """That functions took."""
    bytes: int = 0
    """That were sent."""


class Store:
    """The file. What its methods raise is what `Journal.attempt` raises."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, lambda: _SCHEMA, WHAT)
        self._own: dict[Subject, int] = {}
        """Calls that were added here since `others` began with them."""
        self.close = self._journal.close

    def add(self, days: Iterable[Day]) -> bool:
        """True: all are added to what is there, or none."""
        rows = [msgspec.structs.asdict(day) for day in days]
        self._journal.attempt(lambda connection: _add(connection, rows))
        for row in rows:
            for subject in subjects(row["account_id"], row["token_id"], row["day"]):
                if subject in self._own:
                    self._own[subject] += row["calls"]
        return True

    def others(self, subject: Subject, *, anew: bool) -> int:
        """Calls in the file but those that were added here since this was last asked `anew`."""
        account_id, token_id, day = subject
        values = (account_id, day, token_id)
        found = self._journal.attempt(lambda connection: connection.execute(_CALLS, values).fetchone())
        if anew:
            self._own = {each: calls for each, calls in self._own.items() if each[2] >= day} | {subject: 0}
        return max(int(found[0]) - self._own.get(subject, 0), 0)

    def of(self, account_id: str, since: str) -> list[Day]:
        """An account's days from `since` on (ISO 8601)."""
        rows = self._journal.attempt(lambda connection: connection.execute(_OF, (account_id, since)).fetchall())
        return [Day(**dict(zip(Day.__struct_fields__, row, strict=True))) for row in rows]


def subjects(account_id: str, token_id: str, day: str) -> tuple[Subject, Subject]:
    """Whose calls a call is."""
    return (account_id, token_id, day), (account_id, None, day)


def _add(connection: sqlite3.Connection, rows: list[dict[str, Any]]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_ADD, rows)
