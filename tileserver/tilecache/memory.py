"""The memory tier: least recently used entries go first, capped by bytes."""

from cachetools import LRUCache

from tileserver.tilecache.entry import Entry
from tileserver.tilecache.keys import Key


class MemoryTier:
    """Entries in this process; only the event loop touches it."""

    def __init__(self, limit: int) -> None:
        self._entries: LRUCache[Key, Entry] = LRUCache(limit, getsizeof=lambda entry: entry.weight)
        self.get = self._entries.get

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, unless it alone would take more than an eighth of the tier."""
        if entry.weight * 8 <= self._entries.maxsize:
            self._entries[key] = entry

    def drop(self, key: Key) -> None:
        """Forget an entry."""
        self._entries.pop(key, None)

    @property
    def used(self) -> int:
        """Bytes."""
        return int(self._entries.currsize)
