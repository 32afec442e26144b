"""On what terms an entry is served: who asks says how old it may be, and what was cleared since."""

import time

import msgspec

from tileserver.bans import Bans
from tileserver.tilecache.entry import Entry
from tileserver.tilecache.keys import Key


class Terms(msgspec.Struct, frozen=True):
    """Of a layer."""

    bans: Bans
    max_age: int
    """Seconds for which an answer is fresh; 0 serves none that is kept."""
    margin: int = 0
    """By how much a tile's content reaches over its edges, in 4,096ths of its side."""

    def fresh(self, entry: Entry) -> bool:
        """Whether an entry is young enough."""
        return time.time() < entry.facts.created + self.max_age

    def cleared(self, entry: Entry, key: Key) -> bool:
        """Whether it was cleared since it was made."""
        return self.bans.cleared(entry.facts.epoch, key.z, key.x, key.y, self.margin)
