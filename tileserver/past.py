"""Answers past their age: what there still is of a tile, itself or as a part of its block, and who gets it."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tileserver.blocks import Blocks, Current, Place, around
from tileserver.layers import Answer
from tileserver.runner import Within
from tileserver.tilecache import Entry, Key, Terms, TileCache

May = Callable[[Terms, Entry, Key], bool]
"""Whether an entry may be served on some terms."""


class There(NamedTuple):
    """What is kept in a place."""

    place: Place
    entry: Entry

    @property
    def is_fresh(self) -> bool:
        """Whether it is young enough to be nothing of the past."""
        return self.place.layer.terms.fresh(self.entry)


class Past:
    """Looks at what is kept, whatever its age."""

    def __init__(self, cache: TileCache, blocks: Blocks, current: Current) -> None:
        self._cache, self._blocks, self._current = cache, blocks, current

    async def there(self, place: Place, may: May) -> list[There]:
        """What may be served: the tile itself, and the block that it is cut from, unless the tile is fresh."""
        layer, tile, _ = place
        if layer.max_age <= 0:
            return []
        own = await self._kept(place, may)
        if tile is None or not layer.is_cut(tile) or (own and own[0].is_fresh):
            return own
        return own + await self._kept(around(layer, tile), may)

    async def _kept(self, place: Place, may: May) -> list[There]:
        entry = await self._cache.stored(place.key, place.layer.terms)
        if entry is None or not may(place.layer.terms, entry, place.key):
            return []
        return [There(place, entry)] if await self._current(entry.facts.callees) else []

    async def given(self, place: Place, there: list[There], within: Within | None) -> Answer | None:
        """The newest of it: a tile that is older than its block hides nothing of that."""
        for kept, entry in sorted(there, key=lambda each: -each.entry.facts.created):
            if kept.key == place.key:
                return Answer(entry=entry, source="stale")
            answer = await self._blocks.cut_old(place, kept, entry, within)
            if answer is not None:
                return msgspec.structs.replace(answer, source="stale")
        return None
