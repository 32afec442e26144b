"""One request, from token to bytes, in reading order.

`layer` and `hit` never wait: a cached tile is answered by them alone. `render` does the rest.
"""

import asyncio
import contextlib
import itertools
import math
import time
from typing import Any, Final, NamedTuple

import msgspec
from cachetools import LRUCache, TTLCache

from tileserver import query as queries
from tileserver.callgraph import CallGraph
from tileserver.errors import CallError, InvalidParameterError, NotFoundError, TileserverError
from tileserver.execution import Executor
from tileserver.jobs import Call, Caller, Job, Rendered
from tileserver.layers import Answer, Ask, Layer, bound, called, entry_of, probe_tiles, run_of, source_of
from tileserver.registry import UNKNOWN_YET, Grant, Registry
from tileserver.runlog import RunLog
from tileserver.settings import Settings
from tileserver.tilecache import Entry, Flights, Key, TileCache
from tileserver.tiles import Tile
from tileserver.udfs import Udf, with_computed

TILE_LIMIT: Final = 8 * 2**20
FILE_LIMIT: Final = 512 * 2**20
"""Bytes of an encoded answer."""
_LARGE: Final = 2**20
"""Bytes that are digested in a thread."""
FAILURE_SECONDS: Final = 3
"""How long a failure is answered again without a run."""
CALL_DEPTH: Final = 5
"""Calls that may wait for each other."""
LOOK_SECONDS: Final = 2
"""How long metadata wait for a first run."""
_REFUSALS: Final = frozenset({"busy", "too_many_requests", "udf_suspended"})
"""Codes of what did not run."""
Version = tuple[str, str]
"""A UDF's id and a digest."""


class Within(NamedTuple):
    """Who asks for a run."""

    caller: Caller
    seconds: float
    """That the run may take at most."""


def _below(within: Within | None, layer: Layer, flight: str) -> Within:
    """The same one flight deeper; a client's request begins a chain."""
    if within is None:
        return Within(
            Caller(account_id=layer.grant.account_id, token_id=layer.grant.token_id, chain=(flight,)), math.inf
        )
    chain = (*within.caller.chain, flight)
    return within._replace(
        caller=msgspec.structs.replace(within.caller, chain=chain, account_id=layer.grant.account_id)
    )


def _tile(call: Call) -> Tile | None:
    try:
        return Tile(*call.tile, size=call.size) if call.tile else None
    except ValueError as error:
        raise InvalidParameterError(str(error), parameter="tile") from None


class Pipeline:
    """Everything between the URL and the bytes; one per server process."""

    def __init__(
        self, settings: Settings, registry: Registry, cache: TileCache, executor: Executor, runs: RunLog
    ) -> None:
        self.settings, self.registry, self.cache, self.executor, self.runs = settings, registry, cache, executor, runs
        self._layers: LRUCache[Ask, Layer] = LRUCache(4096)
        self._generation = -1
        self._udfs: LRUCache[tuple[str, str | None, str], Udf] = LRUCache(1024)
        self._flights: Flights[Answer] = Flights()
        self._failures: TTLCache[Key, TileserverError] = TTLCache(10_000, FAILURE_SECONDS)
        self._settling: dict[Version, asyncio.Task[None]] = {}
        self._unsettled: TTLCache[Version, bool] = TTLCache(1000, 10)
        self._ids = itertools.count(1)
        self._calls = CallGraph()
        executor.answer = self.call

    # Token to layer

    def layer(self, ask: Ask) -> Layer | None:
        """The layer if it is known in memory and nothing has changed since; else None. Does not wait."""
        if self.registry.generation != self._generation:
            self._generation = self.registry.generation
            self._layers.clear()
        return self._layers.get(ask)

    async def find_layer(self, ask: Ask) -> Layer:
        """The layer, read and bound.

        Raises:
            NotFoundError: the token opens nothing.
            InvalidError: a parameter or the format cannot be.
        """
        generation = self.registry.generation
        grant = await self.grant(ask.token)
        query = queries.parse(ask.query)
        udf = self.udf(grant)
        if not self._knows(udf, grant, query, ask.extension):
            await self._settled(grant)
            grant = await self.grant(ask.token)
            udf = self.udf(grant)
        layer = bound(grant, udf, ask, query)
        if generation == self.registry.generation:
            self._layers[ask] = layer
        return layer

    async def grant(self, token: str) -> Grant:
        """What the token opens.

        Raises:
            NotFoundError: it is unknown, disabled or deleted, or its UDF is away.
        """
        found = self.registry.lookup.resolve(token)
        grant = await self.registry.lookup.load(token) if found is UNKNOWN_YET else found
        if not isinstance(grant, Grant):
            raise NotFoundError
        return grant

    def udf(self, grant: Grant) -> Udf:
        """The UDF as its text and, where known, a worker describe it."""
        address = (grant.digest, grant.facts, grant.record)
        if address not in self._udfs:
            udf = msgspec.json.decode(grant.record, type=Udf)
            facts = msgspec.json.decode(grant.facts) if grant.facts else {}
            if "options" in facts or "defaults" in facts:
                udf = with_computed(udf, facts.get("options", {}), facts.get("defaults", {}), file=udf.name)
            self._udfs[address] = udf
        return self._udfs[address]

    @staticmethod
    def _knows(udf: Udf, grant: Grant, query: queries.Query, extension: str) -> bool:
        asked = extension or "format" in query
        return not udf.computed and bool(grant.kind or asked)

    # Layer to entry

    def hit(self, layer: Layer, z: int, x: int, y: int) -> Entry | None:
        """The tile if memory has it fresh. Does not wait."""
        return self.cache.hit(Key(layer.key, z, x, y), layer.grant.epoch, layer.max_age)

    async def render(self, layer: Layer, tile: Tile | None, within: Within | None = None) -> Answer:
        """The answer from disk, from a run that is under way, or from a run of its own.

        Args:
            within: the function that asks; None where it is a client.

        Raises:
            TileserverError: the run failed, or the queue is full.
        """
        key = Key(layer.key, tile.z, tile.x, tile.y) if tile else Key(layer.key, -1, 0, 0)
        entry = self.cache.hit(key, layer.grant.epoch, layer.max_age)
        if entry is not None:  # under another spelling of the query
            return Answer(entry=entry, source="memory")
        failure = self._failures.get(key)
        if failure is not None:
            raise failure.with_traceback(None)  # it would grow with each who is told
        # Who allows an answer less age, or knows of a later clearing, does not take what others wait for.
        flight = key._replace(layer=f"{key.layer}/{layer.max_age}/{layer.grant.epoch}")
        name = "/".join(map(str, flight))
        with self._calls.waiting(within.caller.chain if within else (), name):
            answer, own = await self._flights.join(
                flight, lambda: self._fly(layer, tile, key, _below(within, layer, name))
            )
        return answer if own else msgspec.structs.replace(answer, source="shared")

    async def _fly(self, layer: Layer, tile: Tile | None, key: Key, within: Within) -> Answer:
        entry = await self.cache.find(key, layer.grant.epoch, layer.max_age)
        if entry is not None:
            return Answer(entry=entry, source="disk")
        try:
            answer = await self._run(layer, tile, within)
        except TileserverError as failure:
            if failure.code not in {"busy", "too_many_requests"}:
                self._failures[key] = failure
            raise
        if layer.max_age > 0:
            await self.cache.store(key, answer.entry)
        return answer

    async def _run(self, layer: Layer, tile: Tile | None, within: Within) -> Answer:
        started = time.perf_counter()
        created = time.time()
        rendered = await self._execute(layer, tile, within)
        took = (time.perf_counter() - started) * 1000
        waited = max(took - rendered.udf_ms - rendered.encode_ms, 0.0)
        large = len(rendered.body) > _LARGE
        entry = (
            await asyncio.to_thread(entry_of, rendered, layer, created) if large else entry_of(rendered, layer, created)
        )
        return Answer(entry=entry, source="run", queue_ms=waited)

    async def _execute(self, layer: Layer, tile: Tile | None, within: Within, *, sample: bool = False) -> Rendered:
        """What a worker makes of it; every run goes into the log here, however it ends."""
        job, asked = self._job(layer, tile, within, sample=sample), time.time()
        source, nested = source_of(layer.grant, layer.udf), len(within.caller.chain) > 1
        try:
            rendered = await self.executor.run(job, source, group=within.caller.token_id, nested=nested)
        except TileserverError as failure:
            if failure.code not in _REFUSALS:
                self.runs.add(run_of(layer, job, asked, failure))
            raise
        self.runs.add(run_of(layer, job, asked, rendered))
        return rendered

    def _job(self, layer: Layer, tile: Tile | None, within: Within, *, sample: bool) -> Job:
        longest = self.settings.timeout if tile else self.settings.file_timeout
        longest = min(layer.udf.options.timeout or longest, longest)
        return Job(
            id=next(self._ids),
            digest=layer.grant.digest,
            tile=(tile.z, tile.x, tile.y) if tile else None,
            partition=tile.partition.name if tile else "",
            arguments=layer.arguments,
            output=layer.output,
            timeout=min(longest, within.seconds),
            limit=TILE_LIMIT if tile and not layer.output.exchange else FILE_LIMIT,
            sample=sample,
            caller=within.caller,
        )

    # Functions that call others

    async def call(self, call: Call, job: Job, seconds: float) -> Rendered:
        """What a UDF returns to the function of `job`, which has so many seconds left; through cache and queue.

        Raises:
            CallError: calls go too deep, or in a circle.
            InvalidParameterError: a parameter does not convert, or the tile is none.
            NotFoundError: the account has no UDF of that name.
            TileserverError: the run failed.
        """
        if len(job.caller.chain) > CALL_DEPTH:
            raise CallError(f"calls go deeper than {CALL_DEPTH}")
        grant = await self._callee(call.name, job.caller.account_id)
        layer = called(grant, self.udf(grant), call)
        tile = _tile(call)
        answer = await self.render(layer, tile, Within(job.caller, seconds))
        facts = answer.entry.facts
        return Rendered(media_type=facts.media_type, kind=facts.kind, body=answer.entry.body)

    async def _callee(self, name: str, account_id: str) -> Grant:
        grant = await self._named(name, account_id)
        if self.udf(grant).computed:
            await self._settled(grant)
            grant = await self._named(name, account_id)
        return grant

    async def _named(self, name: str, account_id: str) -> Grant:
        grant = await self.registry.lookup.named(account_id, name)
        if grant is not None:
            return grant
        try:
            return await self.grant(name)
        except NotFoundError:
            raise NotFoundError("there is no UDF of this name") from None

    async def close(self) -> None:
        """End every run; who waits for one is told that the server is busy."""
        await self.executor.close()
        # Those that find out are told too; not cancelled, they write what they know to the end.
        await asyncio.gather(*self._settling.values(), return_exceptions=True)

    # What only a run tells: computed options, the kind, the fields

    def settle(self, grant: Grant) -> "asyncio.Task[None]":
        """The task that finds out what the source's text alone does not say; one per version."""
        version = grant.udf_id, grant.digest
        task = self._settling.get(version)
        if task is None:
            task = self._settling[version] = asyncio.create_task(self._settle(grant))
            task.add_done_callback(lambda _: self._settling.pop(version, None))
        return task

    async def look(self, token: str) -> Grant:
        """What the token opens, with what a run tells of it, for which this waits a moment; raises like `grant`."""
        grant = await self.grant(token)
        if grant.facts is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled(grant), LOOK_SECONDS)
        return await self.grant(token)

    async def _settled(self, grant: Grant) -> None:
        if (grant.udf_id, grant.digest) not in self._unsettled:
            await asyncio.shield(self.settle(grant))

    async def _settle(self, grant: Grant) -> None:
        facts: dict[str, Any] = {}
        udf = self.udf(grant)
        try:
            facts = await self._described(grant, udf)
            udf = with_computed(udf, facts.get("options", {}), facts.get("defaults", {}), file=udf.name)
            rendered = await self._probe(grant, udf)
        except TileserverError:
            self._unsettled[grant.udf_id, grant.digest] = True
            rendered = None
        kind = (rendered.kind if rendered else "") or grant.kind or udf.kind
        facts |= rendered.facts if rendered else {}
        if facts or kind != grant.kind:
            await self.registry.publications.learn(
                grant.udf_id, grant.digest, kind=kind, facts=msgspec.json.encode(facts).decode()
            )

    async def _described(self, grant: Grant, udf: Udf) -> dict[str, Any]:
        defaults = tuple(each.name for each in udf.parameters if each.computed)
        if not udf.computed and not defaults:
            return {}
        described = await self.executor.describe(source_of(grant, udf), udf.computed, defaults)
        return {"options": described.options, "defaults": described.defaults}

    async def _probe(self, grant: Grant, udf: Udf) -> Rendered | None:
        """The first run that shows a kind: at the shallowest zooms, in the middle of the bounds; else as a file."""
        rendered = None
        for tile in probe_tiles(udf):
            ask = Ask("", "", 1, "", tile is not None)
            layer = bound(msgspec.structs.replace(grant, kind=None), udf, ask, {})
            rendered = await self._execute(layer, tile, _below(None, layer, "probe"), sample=True)
            if not rendered.empty:
                break
        return rendered
