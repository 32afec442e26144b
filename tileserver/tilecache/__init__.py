"""The tile cache: memory, then disk, then what servers share. Knows nothing of tokens, UDF code or HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from cachetools import LRUCache

from tileserver.tilecache.counts import Counts
from tileserver.tilecache.disk import DiskTier
from tileserver.tilecache.entry import Entry, Facts, etag, harmless
from tileserver.tilecache.failures import Failures
from tileserver.tilecache.far_leases import FarLeases
from tileserver.tilecache.flights import Flights
from tileserver.tilecache.keys import Key, arguments_key, layer_key
from tileserver.tilecache.leases import Leases
from tileserver.tilecache.memory import MemoryTier
from tileserver.tilecache.refreshes import Refreshes
from tileserver.tilecache.remote import RemoteTier
from tileserver.tilecache.terms import Terms
from tileserver.tilecache.usage import Usage

__all__ = [
    "Counts",
    "Entry",
    "Facts",
    "Failures",
    "Flights",
    "Key",
    "Refreshes",
    "Terms",
    "TileCache",
    "arguments_key",
    "etag",
    "harmless",
    "layer_key",
]


Suits = Callable[[Entry], bool]
_FILES: Final = 1024
"""Whose heads are kept."""
_PUTS: Final = 64
"""Entries on their way to stores that are slow; more are not stored there."""


class TileCache:
    """All tiers as one."""

    def __init__(self, folder: Path, *, memory: int, disk: int, beyond: Sequence[str] = ()) -> None:
        """Args:
            memory: Bytes; 0 keeps nothing there.
            disk: The same.
            beyond: Addresses of stores that servers share, in the order in which they are asked.

        Raises:
            SetupError: an address is none.
        """
        self.memory = MemoryTier(memory)
        self.disk = DiskTier(folder, disk)
        self.usage = Usage(self.disk.usage)
        self.beyond = [RemoteTier(address) for address in beyond]
        self._looked: LRUCache[Key, Entry] = LRUCache(_FILES)
        self._fetches: Flights[Entry | None] = Flights()
        self._puts: set[asyncio.Task[None]] = set()
        leasing = [tier for tier in self.beyond if tier.kind == "redis"]
        self._far = FarLeases(leasing[0].address, leasing[0].guard) if leasing else None
        self.leases = Leases(folder.with_name(f"{folder.name}.leases"))
        self.failures = Failures(folder.with_name(f"{folder.name}.failures"))

    def numbers(self) -> dict[str, int]:
        """What this process holds and did, as `Counts` has it."""
        return {
            "memory_bytes": self.memory.used,
            "memory_entries": len(self.memory),
            "memory_evictions": self.memory.evicted,
            "disk_written": self.disk.written,
            "disk_evictions": self.disk.evicted,
            "store_failures": sum(each.failures for each in self.beyond),
        }

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
        """The entry of a tier behind memory, if it may be served; what is found is kept in those before."""
        if terms.max_age <= 0:
            return None
        entry = await asyncio.to_thread(self.disk.get, key) if self.disk.has(key) else None
        if entry is not None and terms.serves(entry, key):
            return self._kept(key, entry, terms)
        entry = await self._beyond(key, terms, lambda found: terms.serves(found, key))
        if entry is None:
            return None
        self._put_later(asyncio.to_thread(self.disk.put, key, entry))
        return self._kept(key, entry, terms)

    async def _beyond(self, key: Key, terms: Terms, suits: Suits) -> Entry | None:
        """The entry of the first shared store that has one which suits."""
        for tier in self.beyond:
            entry = await tier.get(key, large=terms.block)
            if entry is not None and entry.facts.epoch <= terms.bans.epoch and suits(entry):
                return msgspec.structs.replace(entry, tier=tier.kind)
        return None

    async def look(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of a block, if it may be served, its body left in its file on disk, which is checked once."""
        entry = await self._here(key)
        if entry is not None and terms.serves(entry, key):
            return entry
        return await self._fetched(key, terms, lambda found: terms.serves(found, key), "fresh")

    async def _fetched(self, key: Key, terms: Terms, suits: Suits, what: str) -> Entry | None:
        """A block of a shared store that suits, brought to the disk, once for all who ask meanwhile."""
        if not self.beyond or self.disk.limit <= 0:
            return None
        flight = (key, terms.max_age, terms.bans.epoch, what)
        found, _ = await self._fetches.join(flight, lambda: self._fetch(key, terms, suits))
        return found

    async def _fetch(self, key: Key, terms: Terms, suits: Suits) -> Entry | None:
        found = await self._beyond(key, terms, suits)
        if found is None:
            return None
        await asyncio.to_thread(self.disk.put, key, found)
        return await self._look(key)

    @contextlib.asynccontextmanager
    async def aside(self, entry: Entry) -> AsyncIterator[Entry | None]:
        """An entry that is not kept, its body in a file while it is used; None where there is no room for one."""
        place = await asyncio.to_thread(self.disk.write_aside, entry)
        try:
            yield None if place is None else await asyncio.to_thread(self.disk.look_at, place)
        finally:
            if place is not None:
                await asyncio.to_thread(place.unlink, missing_ok=True)

    async def forget(self, key: Key, entry: Entry) -> None:
        """Remove an entry that was looked at and cannot be read, if it is still there."""
        self._looked.pop(key, None)
        if entry.stored is not None:
            await asyncio.to_thread(self.disk.remove, entry.stored)

    async def _here(self, key: Key) -> Entry | None:
        """A block on this disk, of whatever age."""
        entry = self._looked.get(key)
        if entry is None or entry.stored is None or not self.disk.is_there(entry.stored):
            entry = await self._look(key)
        return entry

    async def _look(self, key: Key) -> Entry | None:
        self._looked.pop(key, None)
        entry = await asyncio.to_thread(self.disk.look, key) if self.disk.has(key) else None
        if entry is not None:
            self._looked[key] = entry
        return entry

    async def empty_above(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of a tile that this one lies in, if it may be served and is empty."""
        for above in key.above():
            entry = self.hit(above, terms) or await self.find(above, terms)
            if entry is not None and entry.facts.empty and not terms.cleared(entry, key):
                self.memory.put(key, entry, terms.owner)
                return entry
        return None

    async def stored(self, key: Key, terms: Terms) -> Entry | None:
        """The entry of the first tier that has one, whether it may be served or not; a block's body is left on disk."""
        if terms.block:
            return await self._here(key) or await self._fetched(key, terms, terms.is_of_use, "old")
        entry = self.memory.get(key)
        if entry is None and self.disk.has(key):
            entry = await asyncio.to_thread(self.disk.get, key)
        for tier in self.beyond:
            entry = entry or await tier.get(key)
        return entry

    def _kept(self, key: Key, entry: Entry, terms: Terms) -> Entry:
        """The entry, in memory: as of the last clearing, so that it is looked at once for each.

        But empty ones, which may have to answer for tiles below them that were cleared since.
        """
        if entry.facts.epoch < terms.bans.epoch and not entry.facts.empty:
            entry = entry.in_epoch(terms.bans.epoch)
        self.memory.put(key, entry, terms.owner)
        return entry

    async def store(self, key: Key, entry: Entry, terms: Terms) -> None:
        """Keep an entry of a UDF in all tiers; of a block, which workers read, nothing in memory."""
        if not terms.block:
            self.memory.put(key, entry, terms.owner)
        await asyncio.to_thread(self.disk.put, key, entry)
        for tier in self.beyond:
            if tier.kind == "objects":
                self._put_later(tier.put(key, entry, terms.longest))
            else:  # who waits for the lease looks there
                await tier.put(key, entry, terms.longest)

    def _put_later(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._puts) >= _PUTS:
            work.close()
            return
        task = asyncio.create_task(work)
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)

    @contextlib.asynccontextmanager
    async def lease(self, key: Key, seconds: float) -> AsyncIterator[bool]:
        """While no other process or host makes the answer, after so many seconds at most; gives if one did before."""
        async with contextlib.AsyncExitStack() as stack:
            waited = await stack.enter_async_context(self.leases.held(key, seconds))
            if self._far is not None:
                waited |= await stack.enter_async_context(self._far.held(key, seconds))
            yield waited

    async def close(self) -> None:
        """Finish what is on its way, and let go of everything."""
        await asyncio.gather(*self._puts, return_exceptions=True)
        for tier in self.beyond:
            await tier.close()
        if self._far is not None:
            await self._far.close()
        self.leases.close()
