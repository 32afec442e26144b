"""What only a run tells of a UDF: computed options and defaults, its kind, its fields."""

import asyncio
import contextlib
import logging
import time
from typing import Any, Final

import msgspec
from cachetools import TTLCache

from tileserver.errors import TileserverError
from tileserver.execution import Executor
from tileserver.execution.calls import first_look
from tileserver.grants import Grants
from tileserver.jobs import Rendered
from tileserver.layers import Ask, Layer, bound, key_of, probe_tiles
from tileserver.registry import Grant, Publications
from tileserver.runner import Runner, below, kept
from tileserver.tilecache import TileCache
from tileserver.tiles import Tile
from tileserver.udfs import Udf, with_computed

_LOG: Final = logging.getLogger("tileserver")
LOOK_SECONDS: Final = 2
"""How long metadata wait for a first run."""
_RETRY_SECONDS: Final = 10
"""After which what failed is tried again, by the next who asks."""
_UNPROBED: Final = {"unprobed": True}
"""What is kept with the facts where no run has succeeded yet."""
Version = tuple[str, str]
"""A UDF's id and a digest."""


class Settling:
    """Finds it out once per version, and has the registry keep it."""

    def __init__(
        self, grants: Grants, publications: Publications, executor: Executor, runner: Runner, cache: TileCache
    ) -> None:
        self._cache = cache
        self._grants, self._publications, self._executor, self._runner = grants, publications, executor, runner
        self._tasks: dict[Version, asyncio.Task[None]] = {}
        self._failed: TTLCache[Version, bool] = TTLCache(1000, _RETRY_SECONDS)

    def begin(self, grant: Grant) -> "asyncio.Task[None]":
        """The task that finds it out; one per version."""
        version = grant.udf_id, grant.digest
        task = self._tasks.get(version)
        if task is None:
            task = self._tasks[version] = asyncio.create_task(self._settle(grant))
            task.add_done_callback(lambda _: self._tasks.pop(version, None))
        return task

    async def settled(self, grant: Grant) -> None:
        """Waits until it is known, or just could not be found out."""
        if (grant.udf_id, grant.digest) not in self._failed:
            await asyncio.shield(self.begin(grant))

    async def look(self, token: str) -> Grant:
        """What the token opens, with what a run tells of it, for which this waits a moment; raises like `Grants.of`."""
        grant = await self._grants.of(token)
        if not _is_known(grant):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.settled(grant), LOOK_SECONDS)
        return await self._grants.of(token)

    async def completed(self, grant: Grant, udf: Udf) -> Udf:
        """The UDF with what its text computes, of a source that is stored nowhere; raises what that raises."""
        return _with(udf, await self._described(grant, udf))

    async def close(self) -> None:
        """Let all come to their end; not cancelled, they write what they know."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _settle(self, grant: Grant) -> None:
        try:
            kind, facts = await self._found_out(grant)
            text = msgspec.json.encode(facts).decode()
            if (kind, text) != (grant.kind, grant.facts) and facts != _UNPROBED:
                await self._publications.learn(grant.udf_id, grant.digest, kind=kind, facts=text)
        except Exception:  # an accident of ours, as a locked registry: who waits goes on with what there is
            _LOG.exception("nothing could be found out about '%s'", grant.name)
            self._failed[grant.udf_id, grant.digest] = True

    async def _found_out(self, grant: Grant) -> tuple[str | None, dict[str, Any]]:
        """Kind and facts; where a run failed, what was known before it, with a mark."""
        kind, facts = grant.kind, dict[str, Any]()
        try:
            udf = self._grants.udf(grant)
            kind = kind or udf.kind
            facts = await self._described(grant, udf)
            rendered = await self._probe(grant, _with(udf, facts))
        except TileserverError:
            self._failed[grant.udf_id, grant.digest] = True
            return kind, facts | _UNPROBED
        return rendered.kind or kind, facts | rendered.facts

    async def _described(self, grant: Grant, udf: Udf) -> dict[str, Any]:
        defaults = tuple(each.name for each in udf.parameters if each.computed)
        if not udf.computed and not defaults:
            return {}
        source = await self._runner.source(grant, udf)
        described = await self._executor.describe(source, udf.computed, defaults)
        return {"options": described.options, "defaults": described.defaults}

    async def _probe(self, grant: Grant, udf: Udf) -> Rendered:
        """The first run that shows a kind: at the shallowest zooms, in the middle of the bounds; else as a file."""
        for tile in probe_tiles(udf):
            layer, began = _usual(grant, udf, tile, None), time.time()
            within = below(None, layer, first_look(grant.account_id, grant.digest))
            rendered = await self._runner.run(layer, tile, within, sample=True)
            if not rendered.empty:
                await self._keep(_usual(grant, udf, tile, rendered.kind), tile, rendered, began)
                break
        return rendered

    async def _keep(self, layer: Layer, tile: Tile | None, rendered: Rendered, began: float) -> None:
        """What a probe gave is an answer, too: to who asks for the same in the format that is usual for it."""
        entry = await kept(rendered, layer, began)
        if layer.max_age > 0 and entry.facts.settled and not (tile and layer.is_cut(tile)):
            await self._cache.store(key_of(layer, tile), entry, layer.terms)


def _usual(grant: Grant, udf: Udf, tile: Tile | None, kind: str | None) -> Layer:
    """What is asked for without a query or an extension, of a kind."""
    return bound(msgspec.structs.replace(grant, kind=kind), udf, Ask("", "", 1, "", tile is not None), {})


def _with(udf: Udf, facts: dict[str, Any]) -> Udf:
    return with_computed(udf, facts.get("options", {}), facts.get("defaults", {}), file=udf.name) if facts else udf


def _is_known(grant: Grant) -> bool:
    return grant.facts is not None and not _UNPROBED.keys() <= msgspec.json.decode(grant.facts).keys()
