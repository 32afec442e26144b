"""What functions called, kept with the answers that rest on it: stale when one changes, is cleared or is hidden."""

from cachetools import LRUCache

from tileserver.jobs import Callee
from tileserver.registry import Grant, Registry


class Callees:
    """Looks again whenever anything was published."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._current: LRUCache[tuple[Callee, ...], int] = LRUCache(10_000)
        """By what was called, the generation of the registry in which all of it was found unchanged."""

    def known_current(self, callees: tuple[Callee, ...]) -> bool:
        """Whether nothing has changed as far as memory tells; does not wait."""
        return not callees or self._current.get(callees) == self._registry.generation

    async def current(self, callees: tuple[Callee, ...]) -> bool:
        """Whether all that was called is as it was."""
        if self.known_current(callees):
            return True
        generation = self._registry.generation
        for callee in callees:
            grant = await self._grant(callee)
            if grant is None or grant.digest != callee.digest or 0 <= callee.epoch < grant.epoch:
                return False
        self._current[callees] = generation
        return True

    async def _grant(self, callee: Callee) -> Grant | None:
        """What opens it now, if anything does."""
        lookup = self._registry.lookup
        if callee.token_id:
            return await lookup.opened(callee.token_id)
        return await lookup.named(callee.account_id, callee.name, callee.asking_id)
