"""The tile cache: memory, then disk. Knows nothing of tokens, UDF code or HTTP."""

import asyncio
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from tileserver.tilecache.disk import DiskTier
from tileserver.tilecache.entry import Entry, Facts, etag
from tileserver.tilecache.failures import Failures
from tileserver.tilecache.flights import Flights
from tileserver.tilecache.keys import Key, layer_key
from tileserver.tilecache.leases import Leases
from tileserver.tilecache.memory import MemoryTier
from tileserver.tilecache.refreshes import Refreshes
from tileserver.tilecache.terms import Terms

__all__ = ["Entry", "Facts", "Failures", "Flights", "Key", "Refreshes", "Terms", "TileCache", "etag", "layer_key"]


_FILES: Final = 1024
"""Whose heads are kept."""


class TileCache:
    """Both tiers as one."""

    def __init__(self, folder: Path, *, memory: int, disk: int) -> None:
        self.memory = MemoryTier(memory)
        self.disk = DiskTier(folder, disk)
        self._looked: LRUCache[Key, Entry] = LRUCache(_FILES)
        self.leases = Leases(folder.with_name(f"{folder.name}.leases"))

    def hit(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of the memory tier, if it may be served. Does not wait."""
        entry = self.memory.get(key)
        if entry is None or not terms.fresh(entry):
            return None
        if entry.facts.epoch >= terms.bans.epoch:
            return entry
        if terms.cleared(entry, key):
            return None
        return self._kept(key, entry, terms)

    async def find(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of the disk tier, if it may be served; read in a thread and kept in memory."""
        if terms.max_age <= 0 or not self.disk.has(key):
            return None
        entry = await asyncio.to_thread(self.disk.get, key)
        if entry is None or not terms.fresh(entry) or terms.cleared(entry, key):
            return None
        return self._kept(key, entry, terms)

    async def look(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of the disk tier, if it may be served, its body left in the file, which is checked once."""
        entry = self._looked.get(key)
        if entry is None or entry.stored is None or not self.disk.is_there(entry.stored):
            self._looked.pop(key, None)
            entry = await asyncio.to_thread(self.disk.look, key) if self.disk.has(key) else None
            if entry is None:
                return None
            self._looked[key] = entry
        return entry if terms.fresh(entry) and not terms.cleared(entry, key) else None

    async def empty_above(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of a tile that this one lies in, if it may be served and is empty."""
        for above in key.above():
            entry = self.hit(above, terms) or await self.find(above, terms)
            if entry is not None and entry.facts.empty and not terms.cleared(entry, key):
                self.memory.put(key, entry, terms.owner)
                return entry
        return None

    async def stored(self, key: Key) -> Entry | None:
        """The entry of either tier, whether it may be served or not."""
        entry = self.memory.get(key)
        if entry is not None or not self.disk.has(key):
            return entry
        return await asyncio.to_thread(self.disk.get, key)

    def _kept(self, key: Key, entry: Entry, terms: Terms) -> Entry:
        """The entry, in memory: as of the last clearing, so that it is looked at once for each.

        But empty ones, which may have to answer for tiles below them that were cleared since.
        """
        if entry.facts.epoch < terms.bans.epoch and not entry.facts.empty:
            entry = entry.in_epoch(terms.bans.epoch)
        self.memory.put(key, entry, terms.owner)
        return entry

    async def store(self, key: Key, entry: Entry, terms: Terms) -> None:
        """Keep an entry of a UDF in both tiers; a block, which workers read, on disk only."""
        if not terms.block:
            self.memory.put(key, entry, terms.owner)
        await asyncio.to_thread(self.disk.put, key, entry)
