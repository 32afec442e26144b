"""The memory tier, capped by bytes: least recently used entries go first, those of a UDF that has most of it before."""

from collections import OrderedDict, defaultdict

from tileserver.tilecache.entry import Entry
from tileserver.tilecache.keys import Key

Order = OrderedDict[Key, None]


class MemoryTier:
    """Entries in this process; only the event loop touches it.

    Two orders, of all and of each UDF: `cachetools` has no caches that share a cap.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self._share = limit, limit // 2
        self._entries: dict[Key, tuple[Entry, str]] = {}
        self._order: Order = OrderedDict()
        self._orders: defaultdict[str, Order] = defaultdict(OrderedDict)
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self._largest: str | None = None
        """The UDF that has more than half of the tier, if one does."""
        self.used = 0
        """Bytes."""
        self.evicted = 0
        """Entries that had to go."""

    def get(self, key: Key) -> Entry | None:
        """The entry, which is then the last that was used."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._order.move_to_end(key)
        self._orders[found[1]].move_to_end(key)
        return found[0]

    def put(self, key: Key, entry: Entry, owner: str) -> None:
        """Keep an entry of a UDF, unless it alone would take more than an eighth of the tier."""
        self.drop(key)
        if entry.weight * 8 > self.limit:
            return
        while self.used + entry.weight > self.limit:
            order = self._order if self._largest is None else self._orders[self._largest]
            self.drop(next(iter(order)))
            self.evicted += 1
        self._entries[key] = entry, owner
        self._order[key] = self._orders[owner][key] = None
        self._weigh(owner, entry.weight)

    def drop(self, key: Key) -> None:
        """Forget an entry."""
        found = self._entries.pop(key, None)
        if found is None:
            return
        entry, owner = found
        del self._order[key], self._orders[owner][key]
        self._weigh(owner, -entry.weight)
        if not self._orders[owner]:
            del self._orders[owner], self._bytes[owner]

    def _weigh(self, owner: str, more: int) -> None:
        self.used += more
        self._bytes[owner] += more
        if self._bytes[owner] > self._share:
            self._largest = owner
        elif self._largest == owner:
            self._largest = None

    def __len__(self) -> int:
        """How many entries."""
        return len(self._entries)
