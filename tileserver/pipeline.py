"""One request, from token to bytes, in reading order.

`layer` and `hit` never wait: a cached tile is answered by them alone. `render` does the rest.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec
from cachetools import LRUCache

from tileserver import query as queries
from tileserver.blocks import Blocks, Place
from tileserver.callees import Callees
from tileserver.callgraph import CallGraph
from tileserver.codeproxy import CodeProxy
from tileserver.errors import CallError, InvalidParameterError, TileserverError, UdfError
from tileserver.execution import Executor
from tileserver.execution.calls import first_look
from tileserver.grants import Grants
from tileserver.jobs import BLOCK, Call, Callee, Caller, Fetch, Job, Read, Rendered, Source
from tileserver.layers import Answer, Ask, Layer, Posted, bound, called, granted, key_of
from tileserver.loading import Loading
from tileserver.past import Past
from tileserver.registry import Grant, Registry
from tileserver.runlog import RunLog
from tileserver.runner import REFUSALS, Runner, Within, below
from tileserver.settings import Settings
from tileserver.settling import Settling
from tileserver.signature import parse
from tileserver.tilecache import Entry, Flights, Key, Refreshes, Terms, TileCache
from tileserver.tiles import Tile
from tileserver.udfs import Udf, digest

CALL_DEPTH: Final = 5
"""Calls that may wait for each other."""
_NEARLY: Final = 0.9
"""Part of its caller's time after which a run that fails may have failed for want of more."""
_BRIEFLY: Final = 1.0
"""Seconds that a call waits for another process that makes the same."""
_QUERY_LIMIT: Final = 2048
"""Characters of a query whose layer is kept: as many as are kept must fit into memory."""


class Flown(NamedTuple):
    """What a flight came to."""

    answer: Answer | TileserverError
    generation: int
    """The registry's when the flight began."""
    cut: bool = False
    """Whether it failed of its caller, who had too little time or was too deep."""


class Pipeline:
    """Everything between the URL and the bytes; one per server process."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        cache: TileCache,
        executor: Executor,
        runs: RunLog,
        code_proxy: CodeProxy | None = None,
    ) -> None:
        self.settings, self.registry, self.cache, self.executor, self.runs = settings, registry, cache, executor, runs
        self.grants = Grants(registry)
        self._runner = Runner(settings, executor, runs, registry.secrets)
        self.settling = Settling(self.grants, registry.publications, executor, self._runner, cache)
        self._layers: LRUCache[Ask, Layer] = LRUCache(4096)
        self._generation = -1
        self._flights: Flights[Flown] = Flights()
        self._failures, self._refreshes = cache.failures, Refreshes()
        self._blocks = Blocks(cache, self._runner, self.current, self._made)
        self._past = Past(cache, self._blocks, self.current)
        self._deep: set[str] = set()
        """Flights under way that fail of how deep their callers are."""
        self._posted: LRUCache[tuple[str, str], Udf] = LRUCache(256)
        """What sources say that came with a request, which often come again: by name and digest."""
        self._calls, self._callees = CallGraph(), Callees(registry)
        self._loading = Loading(settings, self.grants, code_proxy or CodeProxy())
        executor.answer = self

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
            NotFoundError: the token opens nothing, or the account may not see such a UDF.
            InvalidError: a parameter or the format cannot be.
        """
        generation = self.registry.generation
        grant = await self.grants.opened(ask)
        query = queries.parse(ask.query)
        udf = self.grants.udf(grant)
        if not self._knows(udf, grant, query, ask.extension):
            await self.settling.settled(grant)
            grant = await self.grants.opened(ask)
            udf = self.grants.udf(grant)
        layer = bound(grant, udf, ask, query)
        known = generation == self.registry.generation and not udf.computed
        if known and len(ask.query) <= _QUERY_LIMIT:
            self._layers[ask] = layer
        return layer

    async def posted_layer(self, posted: Posted, ask: Ask, query: queries.Query) -> Layer:
        """The layer of a UDF that came with the request, by its parameters and whatever else is in `query`.

        Raises:
            PublicationError: the text is no UDF.
            InvalidError: a parameter or the format cannot be.
            UdfError: what it computes at module level fails.
        """
        udf = await self.posted_udf(posted)
        grant = granted(posted, udf)
        return bound(grant, await self.settling.completed(grant, udf), ask, query)

    async def posted_udf(self, posted: Posted) -> Udf:
        """The UDF that came with a request, as its text describes it; raises PublicationError where it is none."""
        key = posted.name, digest(posted.code, posted.headers, posted.entry)
        udf = self._posted.get(key)
        if udf is None:
            file = f"{posted.name}.py"
            udf = await asyncio.to_thread(
                parse, posted.code, file=file, headers=posted.headers, name=posted.name, entry=posted.entry
            )
            self._posted[key] = udf
        return udf

    @staticmethod
    def _knows(udf: Udf, grant: Grant, query: queries.Query, extension: str) -> bool:
        return not udf.computed and bool(grant.kind or queries.names_format(query, extension))

    # Layer to entry

    def hit(self, layer: Layer, z: int, x: int, y: int) -> Entry | None:
        """The tile if memory has it fresh. Does not wait."""
        entry = self.cache.hit(Key(layer.key, z, x, y), layer.terms)
        return entry if entry is not None and self._callees.known_current(entry.facts.callees) else None

    async def render(self, layer: Layer, tile: Tile | None, within: Within | None = None) -> Answer:
        """The answer from disk, from a run that is under way, or from a run of its own.

        Args:
            within: the function that asks; None where it is a client.

        Raises:
            TileserverError: the run failed, or the queue is full.
        """
        key = key_of(layer, tile)
        entry = self.cache.hit(key, layer.terms)
        if entry is not None and await self.current(entry.facts.callees):  # as under another spelling of the query
            return Answer(entry=entry, source="memory")
        place = Place(layer, tile, key)
        answer = await self._bridged(place, within) or await self._made(place, within)
        if isinstance(answer, TileserverError):
            kept = await self._rescued(place, within)
            if kept is None:
                raise answer.with_traceback(None)  # it would grow with each who is told
            return kept
        return answer

    async def _made(self, place: Place, within: Within | None) -> Answer | TileserverError:
        """What is fresh, or comes of making it, or came of that a moment ago."""
        return self._failures.get(place.key, self.registry.generation) or await self._joined(place, within)

    async def _joined(self, place: Place, within: Within | None) -> Answer | TileserverError:
        """From disk, from a run that is under way, or from a run of its own."""
        layer, tile, key = place
        # Who allows an answer less age, or knows of a later clearing, does not take what others wait for.
        flight = key._replace(layer=f"{key.layer}/{layer.max_age}/{layer.grant.epoch}")
        name = f"{BLOCK if layer.output.block else ''}{'/'.join(map(str, flight))}"
        with self._calls.waiting(within.caller.chain if within else (), name):
            answer, own = await self._flown(flight, lambda: self._fly(layer, tile, key, below(within, layer, name)))
        if isinstance(answer, TileserverError) or own:
            return answer
        return msgspec.structs.replace(answer, source="shared")

    async def _below_empty(self, layer: Layer, key: Key) -> Answer | None:
        """What a tile above it says for it, where the UDF lets one that is empty."""
        entry = await self.cache.empty_above(key, layer.terms) if layer.udf.options.empty_below else None
        return Answer(entry=entry, source="above") if entry and await self.current(entry.facts.callees) else None

    async def _bridged(self, place: Place, within: Within | None) -> Answer | None:
        """What is past its age, if the UDF lets it be served while it is made anew, which begins here."""
        if not place.layer.terms.revalidate:
            return None
        there = await self._past.there(place, Terms.bridges)
        if any(each.is_fresh for each in there):  # as one on disk, or a block that was made meanwhile
            return None
        answer = await self._past.given(place, there, within)
        if answer is not None:
            self._refresh(place, there[-1].place.key)
        return answer

    def _refresh(self, place: Place, whole: Key) -> None:
        """Begin to make it anew, once for all that is made of a whole."""
        stats = self.executor.stats()
        if not stats.queued and self._failures.get(whole, self.registry.generation) is None:
            self._refreshes.begin(whole, lambda: self._joined(place, None), int(2 * stats.capacity))

    async def _rescued(self, place: Place, within: Within | None) -> Answer | None:
        """What there was before, if the UDF lets it be served where a run fails."""
        terms = place.layer.terms
        if not (terms.on_error or terms.revalidate):
            return None
        return await self._past.given(place, await self._past.there(place, Terms.rescues), within)

    async def _flown(self, flight: Key, fly: Callable[[], Awaitable[Flown]]) -> tuple[Answer | TileserverError, bool]:
        """What the flight comes to, and whether it is the request's own; one that others began may not do for it."""
        generation = self.registry.generation
        flown, own = await self._flights.join(flight, fly)
        if not own and await self._falls_short(flown, generation):
            flown, own = await self._flights.join(flight, fly)
        return flown.answer, own

    async def _falls_short(self, flown: Flown, generation: int) -> bool:
        """Whether who came in this generation can have something better than what others waited for."""
        if flown.cut or flown.generation >= generation:
            return flown.cut
        answer = flown.answer
        return isinstance(answer, TileserverError) or not await self.current(answer.entry.facts.callees)

    async def _fly(self, layer: Layer, tile: Tile | None, key: Key, within: Within) -> Flown:
        generation = self.registry.generation
        entry = await self._on_disk(layer, key)
        if entry is not None:
            return Flown(Answer(entry=entry, source=entry.tier), generation)
        empty = await self._below_empty(layer, key)
        if empty is not None:
            return Flown(empty, generation)
        if layer.max_age <= 0:
            return await self._run(layer, tile, key, within)
        # Functions that wait for each other could do so in a circle, which nobody sees across processes.
        longest = self.settings.timeout if tile else self.settings.file_timeout
        patience = _BRIEFLY if within.caller.depth > 1 else longest
        async with self.cache.lease(key, patience) as waited:
            entry = await self._on_disk(layer, key) if waited else None
            if entry is not None:
                return Flown(Answer(entry=entry, source=entry.tier), generation)
            failure = self._failures.get(key, generation) if waited else None
            return Flown(failure, generation) if failure else await self._run(layer, tile, key, within)

    async def _on_disk(self, layer: Layer, key: Key) -> Entry | None:
        look = self.cache.look if layer.output.block else self.cache.find
        entry = await look(key, layer.terms)
        return entry if entry is not None and await self.current(entry.facts.callees) else None

    async def _run(self, layer: Layer, tile: Tile | None, key: Key, within: Within) -> Flown:
        generation, began = self.registry.generation, time.monotonic()
        try:
            if tile is not None and layer.is_cut(tile):
                answer = await self._blocks.cut(layer, tile, within)
            else:
                answer = await self._runner.answer(layer, tile, within)
        except TileserverError as failure:
            cut = within.caller.chain[-1] in self._deep or time.monotonic() - began > _NEARLY * within.seconds
            if not cut and failure.code not in REFUSALS:
                self._failures.add(key, failure, generation)
            return Flown(failure, generation, cut)
        finally:
            self._deep.discard(within.caller.chain[-1])
        if layer.max_age > 0 and answer.entry.facts.settled:
            await self.cache.store(key, answer.entry, layer.terms)
        return Flown(answer, generation)

    async def run_long(self, layer: Layer) -> Answer:
        """The answer of a batch job's task: run anew, with a time limit of its own; raises like `render`."""
        longer = msgspec.structs.replace(layer, max_age=0, batch=True)
        name = f"batch/{layer.key}/{uuid.uuid4()}"
        return await self._runner.answer(longer, None, below(None, layer, name))

    # Functions that call others

    async def call(self, call: Call, job: Job, seconds: float) -> Rendered:
        """What a UDF returns to the function of `job`, which has so many seconds left; through cache and queue.

        Raises:
            CallError: calls go too deep, or in a circle.
            InvalidParameterError: a parameter does not convert, or the tile is none.
            NotFoundError: the account has no UDF of that name.
            TileserverError: the run failed.
        """
        if job.caller.depth > CALL_DEPTH:
            self._deep.update(job.caller.chain[1:])  # for the first it is so whoever asks
            raise CallError(f"calls go deeper than {CALL_DEPTH}")
        grant = await self._callee(call.name, job.caller)
        layer = called(grant, self.grants.udf(grant), call)
        try:
            answer = await self.render(layer, _tile(call), Within(job.caller, seconds))
        except UdfError as failure:
            if grant.expose_errors or grant.account_id == job.caller.account_id:
                raise
            raise type(failure) from None  # its own words are for its owner
        facts = answer.entry.facts
        callee = Callee(grant.account_id, grant.name, grant.digest, grant.token_id, job.caller.account_id, grant.epoch)
        callees = callee, *facts.callees
        return Rendered(media_type=facts.media_type, kind=facts.kind, body=answer.entry.body, callees=callees)

    async def code(self, fetch: Fetch, job: Job) -> tuple[Source, tuple[Callee, ...]]:
        """What a function of `job` loads; see `Loading.code`."""
        return await self._loading.code(fetch.name, job.caller.account_id)

    async def file(self, read: Read, job: Job) -> Rendered:
        """What a function of `job` reads of its account's files; see `Loading.file`."""
        return await self._loading.file(read, job.caller.account_id)

    async def _callee(self, name: str, caller: Caller) -> Grant:
        grant = await self.grants.named(name, caller.account_id)
        if not self.grants.udf(grant).computed:
            return grant
        with self._calls.waiting(caller.chain, first_look(grant.account_id, grant.digest)):
            await self.settling.settled(grant)
        return await self.grants.named(name, caller.account_id)

    async def current(self, callees: tuple[Callee, ...]) -> bool:
        """Whether all that was called is as it was."""
        return await self._callees.current(callees)

    async def close(self) -> None:
        """End every run; who waits for one is told that the server is busy."""
        await self._refreshes.close()
        await self.executor.close()
        await self.settling.close()  # those that find out are told too
        await self.cache.close()


def _tile(call: Call) -> Tile | None:
    try:
        return Tile(*call.tile, size=call.size) if call.tile else None
    except ValueError as error:
        raise InvalidParameterError(str(error), parameter="tile") from None
