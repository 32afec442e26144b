"""What only a run tells of a UDF: computed options and defaults, its kind, its fields."""

import asyncio
import contextlib
from typing import Any, Final

import msgspec
from cachetools import TTLCache

from tileserver.errors import TileserverError
from tileserver.execution import Executor
from tileserver.grants import Grants
from tileserver.jobs import Rendered
from tileserver.layers import Ask, bound, probe_tiles, source_of
from tileserver.registry import Grant, Publications
from tileserver.runner import Runner, below
from tileserver.udfs import Udf, with_computed

LOOK_SECONDS: Final = 2
"""How long metadata wait for a first run."""
_RETRY_SECONDS: Final = 10
Version = tuple[str, str]
"""A UDF's id and a digest."""


class Settling:
    """Finds it out once per version, and has the registry keep it."""

    def __init__(self, grants: Grants, publications: Publications, executor: Executor, runner: Runner) -> None:
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
        if grant.facts is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.settled(grant), LOOK_SECONDS)
        return await self._grants.of(token)

    async def close(self) -> None:
        """Let all come to their end; not cancelled, they write what they know."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _settle(self, grant: Grant) -> None:
        facts: dict[str, Any] = {}
        udf = self._grants.udf(grant)
        try:
            facts = await self._described(grant, udf)
            udf = with_computed(udf, facts.get("options", {}), facts.get("defaults", {}), file=udf.name)
            rendered = await self._probe(grant, udf)
        except TileserverError:
            self._failed[grant.udf_id, grant.digest] = True
            rendered = None
        kind = (rendered.kind if rendered else "") or grant.kind or udf.kind
        facts |= rendered.facts if rendered else {}
        if facts or kind != grant.kind:
            text = msgspec.json.encode(facts).decode()
            await self._publications.learn(grant.udf_id, grant.digest, kind=kind, facts=text)

    async def _described(self, grant: Grant, udf: Udf) -> dict[str, Any]:
        defaults = tuple(each.name for each in udf.parameters if each.computed)
        if not udf.computed and not defaults:
            return {}
        described = await self._executor.describe(source_of(grant, udf), udf.computed, defaults)
        return {"options": described.options, "defaults": described.defaults}

    async def _probe(self, grant: Grant, udf: Udf) -> Rendered | None:
        """The first run that shows a kind: at the shallowest zooms, in the middle of the bounds; else as a file."""
        rendered = None
        for tile in probe_tiles(udf):
            ask = Ask("", "", 1, "", tile is not None)
            layer = bound(msgspec.structs.replace(grant, kind=None), udf, ask, {})
            rendered = await self._runner.run(layer, tile, below(None, layer, "probe"), sample=True)
            if not rendered.empty:
                break
        return rendered
