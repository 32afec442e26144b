"""On what terms an entry is served: who asks says how old it may be, and what was cleared since."""

import msgspec

from tileserver.bans import Bans
from tileserver.tilecache.entry import Entry
from tileserver.tilecache.keys import Key


class Terms(msgspec.Struct, frozen=True):
    """Of a layer."""

    bans: Bans
    max_age: int
    """Seconds for which an answer is fresh; 0 serves none that is kept."""
    owner: str = ""
    """The UDF, which shares memory with others."""
    margin: int = 0
    """By how much a tile's content reaches over its edges, in 4,096ths of its side."""
    revalidate: int = 0
    """Seconds behind `max_age` for which it is served while it is made anew (RFC 5861, section 3)."""
    on_error: int = 0
    """Seconds behind `max_age` for which it is served where that fails (RFC 5861, section 4)."""

    block: bool = False
    """Whether tiles of any zoom are cut from its entries."""
    arguments: str = ""
    """The digest of the arguments."""

    @property
    def longest(self) -> int:
        """Seconds for which an entry may be of any use."""
        return self.max_age + max(self.revalidate, self.on_error)

    def is_of_use(self, entry: Entry) -> bool:
        """Whether there is a case in which it may be served."""
        return self.max_age > 0 and self._within(entry, self.longest - self.max_age)

    def serves(self, entry: Entry, key: Key) -> bool:
        """Whether it may be served."""
        return self.fresh(entry) and not self.cleared(entry, key)

    def fresh(self, entry: Entry) -> bool:
        """Whether an entry is young enough."""
        return entry.facts.age < self.max_age

    def bridges(self, entry: Entry, key: Key) -> bool:
        """Whether it may be served until there is a new one."""
        return self.max_age > 0 and self._within(entry, self.revalidate) and not self.cleared(entry, key)

    def rescues(self, entry: Entry, key: Key) -> bool:
        """Whether it may be served where there is no new one, cleared or not; of a good block no tile could be cut."""
        if self.block and self.serves(entry, key):
            return False
        return self.bridges(entry, key) or (self.max_age > 0 and self._within(entry, self.on_error))

    def _within(self, entry: Entry, seconds: int) -> bool:
        return entry.facts.age < self.max_age + seconds

    def cleared(self, entry: Entry, key: Key) -> bool:
        """Whether it was cleared since it was made."""
        place = key.z, key.x, key.y
        return self.bans.cleared(entry.facts.epoch, *place, self.margin, block=self.block, arguments=self.arguments)
