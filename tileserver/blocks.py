"""Tiles that are cut from a block: what a function gave for their ancestor, in a file of the cache's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from tileserver.errors import BlockGoneError, TileserverError
from tileserver.jobs import Block, Callee
from tileserver.layers import Answer, Layer, block
from tileserver.runner import REFUSALS, Runner, Within, below
from tileserver.tilecache import Entry, Failures, Flights, Key, TileCache
from tileserver.tiles import Tile

_FILES: Final = 2
"""Files of a block that may vanish while one of its tiles is cut."""
_ALWAYS: Final = 0
"""The generation of what a file gives, which no change of the registry betters."""


class Place(NamedTuple):
    """A tile of a layer, or a file, and where that is kept."""

    layer: Layer
    tile: Tile | None
    key: Key

    @property
    def block(self) -> Block:
        """What a worker knows of an ancestor tile, without its file."""
        assert self.tile is not None
        return Block((self.tile.z, self.tile.x, self.tile.y), self.tile.size)


Make = Callable[[Place, Within], Awaitable[Answer | TileserverError]]
"""What comes of making a block."""
Current = Callable[[tuple[Callee, ...]], Awaitable[bool]]
"""Whether all that was called is as it was."""


def around(layer: Layer, tile: Tile) -> Place:
    """The block that a tile is cut from."""
    ancestor, above = block(layer, tile)
    return Place(ancestor, above, Key(ancestor.key, above.z, above.x, above.y))


class Blocks:
    """Cuts tiles, of one server process."""

    def __init__(self, cache: TileCache, runner: Runner, current: Current, make: Make) -> None:
        self._cache, self._runner, self._current, self._make = cache, runner, current, make
        self._flights: Flights[Answer | None] = Flights()
        self._failures = Failures()

    async def cut(self, layer: Layer, tile: Tile, within: Within) -> Answer:
        """The tile out of what the function gives for its ancestor; it is called for it alone where no file can be.

        Raises:
            TileserverError: the function failed, or the tile cannot be cut.
        """
        place = around(layer, tile)
        for _ in range(_FILES if layer.max_age > 0 else 0):
            async with self._file(place, within) as (entry, source):
                if entry is None:
                    break
                answer = await self._cut(layer, tile, place, entry, within)
                if answer is not None:
                    return answer if source != "run" else msgspec.structs.replace(answer, source=source)
        return await self._runner.answer(layer, tile, within, place.block)

    async def _cut(self, layer: Layer, tile: Tile, place: Place, entry: Entry, within: Within) -> Answer | None:
        """The tile out of a file; None where that has gone."""
        whole = msgspec.structs.replace(place.block, stored=entry.stored)
        try:
            return await self._runner.cut(layer, tile, within, whole, entry.facts)
        except BlockGoneError:
            await self._cache.forget(place.key, entry)
            return None

    @asynccontextmanager
    async def _file(self, place: Place, within: Within) -> AsyncIterator[tuple[Entry | None, str]]:
        """What the function gives for an ancestor tile, in a file, and whether it was called; None without a file."""
        entry = await self._fresh(place)
        if entry is not None:
            yield entry, "block"
            return
        made = await self._make(place, within)
        if isinstance(made, TileserverError):
            raise made.with_traceback(None)  # it would grow with each who is told
        entry = await self._fresh(place)
        if entry is not None:
            yield entry, made.source
            return
        async with self._cache.aside(made.entry) as entry:  # as it rests on a call that failed
            yield entry, made.source

    async def _fresh(self, place: Place) -> Entry | None:
        entry = await self._cache.look(place.key, place.layer.terms)
        return entry if entry is not None and await self._current(entry.facts.callees) else None

    async def cut_old(self, own: Place, place: Place, entry: Entry, within: Within | None) -> Answer | None:
        """A tile out of a file that is past its age, and as old as that; None where it cannot be cut."""
        flight = own.key._replace(layer=f"{own.key.layer}/{entry.facts.created}")
        if self._failures.get(flight, _ALWAYS) is not None:
            return None
        answer, _ = await self._flights.join(flight, lambda: self._fly(flight, own, place, entry, within))
        return answer

    async def _fly(self, flight: Key, own: Place, place: Place, entry: Entry, within: Within | None) -> Answer | None:
        layer, tile, key = own
        assert tile is not None
        try:
            answer = await self._cut(layer, tile, place, entry, below(within, layer, "/".join(map(str, flight))))
        except TileserverError as failure:
            if failure.code not in REFUSALS:
                self._failures.add(flight, failure, _ALWAYS)
            return None
        if answer is not None and not place.layer.terms.cleared(entry, place.key):
            await self._cache.store(key, answer.entry, layer.terms)
        return answer
