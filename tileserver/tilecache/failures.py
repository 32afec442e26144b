"""What failed a moment ago and would again: told without a run, for seconds only, and never kept as a tile."""

from typing import Final

from cachetools import TLRUCache

from tileserver.errors import TileserverError
from tileserver.tilecache.keys import Key

SECONDS: Final = 5
LONG_SECONDS: Final = 30
_LONG: Final = frozenset({"udf_timed_out", "udf_crashed", "memory_exceeded", "cpu_exceeded"})
"""What took a worker's time, or its life."""
_MOST: Final = 10_000


class Failures:
    """Of one process, by key; another generation of the registry may do better."""

    def __init__(self) -> None:
        self._known: TLRUCache[Key, tuple[TileserverError, int]] = TLRUCache(_MOST, _until)

    def get(self, key: Key, generation: int) -> TileserverError | None:
        """What a run that began in this generation came to."""
        failure, then = self._known.get(key, (None, generation))
        return failure if then == generation else None

    def add(self, key: Key, failure: TileserverError, generation: int) -> None:
        """Remember what a run that began in a generation came to."""
        self._known[key] = failure, generation


def _until(_: Key, known: tuple[TileserverError, int], now: float) -> float:
    return now + (LONG_SECONDS if known[0].code in _LONG else SECONDS)
