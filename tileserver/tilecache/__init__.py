"""The tile cache: memory, then disk. Knows nothing of tokens, UDF code or HTTP."""

import asyncio
import time
from pathlib import Path

from tileserver.tilecache.disk import DiskTier
from tileserver.tilecache.entry import Entry, Facts, etag
from tileserver.tilecache.flights import Flights
from tileserver.tilecache.keys import Key, layer_key
from tileserver.tilecache.memory import MemoryTier

__all__ = ["Entry", "Facts", "Flights", "Key", "TileCache", "etag", "layer_key"]


class TileCache:
    """Both tiers as one."""

    def __init__(self, folder: Path, *, memory: int, disk: int) -> None:
        self.memory = MemoryTier(memory)
        self.disk = DiskTier(folder, disk)

    def hit(self, key: Key, epoch: int, max_age: int) -> Entry | None:
        """The entry of the memory tier, if it is fresh: see `Entry.fresh`. Does not wait."""
        entry = self.memory.get(key)
        return entry if entry is not None and entry.fresh(time.time(), epoch, max_age) else None

    async def find(self, key: Key, epoch: int, max_age: int) -> Entry | None:
        """The entry of the disk tier, if it is fresh; read in a thread and kept in memory."""
        if max_age <= 0 or not self.disk.has(key):
            return None
        entry = await asyncio.to_thread(self.disk.get, key)
        if entry is None or not entry.fresh(time.time(), epoch, max_age):
            return None
        self.memory.put(key, entry)
        return entry

    async def store(self, key: Key, entry: Entry) -> None:
        """Keep an entry in both tiers."""
        self.memory.put(key, entry)
        await asyncio.to_thread(self.disk.put, key, entry)
