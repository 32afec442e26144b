"""From what is asked to its answer: the same for tokens, for UDFs by name and for sources that come with a request."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tileserver import query as queries
from tileserver.caps import Cap
from tileserver.errors import InvalidParameterError, NotFoundError, TileserverError, UdfError
from tileserver.formats import PREVIEW
from tileserver.layers import Answer, Ask, Layer
from tileserver.pipeline import Pipeline
from tileserver.registry import Account, Grant
from tileserver.tilecache import Counts
from tileserver.tilecache.counts import FOLDER
from tileserver.tiles import Tile
from tileserver.usage import Day, Usage
from tileserver.web.access import Access
from tileserver.web.answers import Receive, Scope, Send, prepare, send_error, send_prepared
from tileserver.web.authorisation import Authorisation
from tileserver.web.blank import blank
from tileserver.web.depth import check_depth
from tileserver.web.metrics import Metrics
from tileserver.web.recent import Recent

T = TypeVar("T")


class Address(NamedTuple):
    """What a tile or file URL says; z is -1 for a file."""

    token: str
    z: int
    x: int
    y: int
    scale: int
    extension: str
    hosted: bool


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Answering:
    """Answers what the routes have understood."""

    def __init__(self, pipeline: Pipeline, access: Access, usage: Usage) -> None:
        self.pipeline, self.access, self.usage = pipeline, access, usage
        self._authorisation = Authorisation(pipeline.grants, pipeline.registry, access)
        self._word = pipeline.registry.generation_word
        self.recent = Recent(self._word)
        self.metrics = Metrics(
            pipeline.executor, self.recent, pipeline.cache, Counts(pipeline.settings.data_dir / FOLDER)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send, address: Address, ask: Ask) -> None:
        """Answer one request."""
        began, generation = time.perf_counter(), self._word[0]
        try:
            found = self._hit(address, ask)
            if found is None:
                check_depth(scope)
                ask = await self._authorisation.asked(scope, ask)
                found = await unless_gone(receive, self._find(address, ask))
        except ClientGoneError:
            return
        except TileserverError as error:
            await self._fail(scope, send, error, address, ask)
            return
        layer, answer = found
        owner = address.hosted and any(answer.entry.facts.printed) and await self._may_read(scope, ask, layer.grant)
        by_accept = address.z < 0 and not address.extension
        prepared = prepare(layer, answer.entry, answer.source, hosted=address.hosted, owner=owner, by_accept=by_accept)
        spent = timing(answer, (time.perf_counter() - began) * 1000)
        if answer.source == "memory" and not owner and not by_accept and ask.for_all and not layer.grant.caps:
            self.recent.keep(scope, prepared, spent, generation, partial(self._repeated, layer, answer))
        await send_prepared(scope, send, prepared, spent)

    def _hit(self, address: Address, ask: Ask) -> tuple[Layer, Answer] | None:
        layer = self.pipeline.layer(ask)
        if layer is None or layer.grant.caps:
            return None
        entry = self.pipeline.hit(layer, address.z, *_cell(layer, address))
        return self._counted(layer, Answer(entry=entry, source="memory")) if entry is not None else None

    async def _find(self, address: Address, ask: Ask) -> tuple[Layer, Answer]:
        grant = await self.pipeline.grants.opened(ask)
        async with self.admitted(grant.account_id, grant.udf_id, grant.token_id, grant.caps):
            layer = self.pipeline.layer(ask) or await self.pipeline.find_layer(ask)
            return self._counted(layer, await self.render(address, layer))

    def _counted(self, layer: Layer, answer: Answer) -> tuple[Layer, Answer]:
        """Both, where they are an answer."""
        _check_empty(layer, answer)
        self.count(layer, answer)
        return layer, answer

    @asynccontextmanager
    async def admitted(self, account_id: str, udf_id: str, token_id: str, caps: tuple[Cap, ...]) -> AsyncIterator[None]:
        """While a call is answered, which is counted inside; one of a function that fails is counted here.

        Raises:
            TooManyRequestsError: a cap is reached.
        """
        async with self.usage.admitted(caps):
            try:
                yield
            except UdfError:
                self.usage.count(account_id, udf_id, token_id, failures=1)
                raise

    async def render(self, address: Address, layer: Layer) -> Answer:
        """The layer's answer for an address; raises like `Pipeline.render`."""
        if address.z < 0:
            return await self.pipeline.render(layer, None)
        tile = Tile(address.z, *_cell(layer, address), size=layer.output.size)
        if not layer.covers(tile):
            return Answer(entry=blank(layer, time.time()), source="outside")
        return await self.pipeline.render(layer, tile)

    def count(self, layer: Layer, answer: Answer) -> None:
        """Note that this was answered."""
        self.metrics.answered(answer)
        grant, size, ran = layer.grant, len(answer.entry.body), answer.source == "run"
        ms = answer.entry.facts.udf_ms if ran else 0.0
        self.usage.count(grant.account_id, grant.udf_id, grant.token_id, cached=not ran, ms=ms, bytes=size)

    async def counts(self, account: Account, days: int) -> list[Day]:
        """What an account's UDFs were asked for in the last days, up to this moment."""
        self.recent.clear()  # which counts what was given again of late
        return await self.usage.of(account.id, days)

    def _repeated(self, layer: Layer, answer: Answer, times: int) -> None:
        self.metrics.counts.add("repeated", times)
        grant, size = layer.grant, times * len(answer.entry.body)
        self.usage.count(grant.account_id, grant.udf_id, grant.token_id, calls=times, cached=times, bytes=size)

    async def _fail(self, scope: Scope, send: Send, error: TileserverError, address: Address, ask: Ask) -> None:
        self.metrics.failed(error.code)
        owner = False
        if isinstance(error, UdfError):
            with suppress(TileserverError):  # the token may have gone meanwhile
                owner = await self._may_read(scope, ask, await self.pipeline.grants.opened(ask))
        await send_error(scope, send, error, hosted=address.hosted, owner=owner)

    async def _may_read(self, scope: Scope, ask: Ask, grant: Grant) -> bool:
        """Whether who asks owns the UDF, or its token shows errors and output to everybody."""
        if grant.expose_errors:
            return True
        account = ask.account or await self.access.account(scope)
        return account is not None and account.id == grant.account_id


def ask_of(scope: Scope, address: Address, account: Account | None = None, who: str = "") -> Ask:
    """What an address asks for; a file without a format asks for a page where a browser wants to show one.

    Args:
        account: who asks for a UDF by its name; None where a token opens it.
        who: whose UDF that is.
    """
    query, extension = scope["query_string"].decode("latin-1"), address.extension
    if address.z < 0 and not extension and _wants_page(scope, query):
        extension = PREVIEW
    return Ask(address.token, extension, address.scale, query, address.z >= 0, account, who, hosted=address.hosted)


def _wants_page(scope: Scope, query: str) -> bool:
    if not any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
        return False
    try:
        return not queries.names_format(queries.parse(query), "")
    except InvalidParameterError:  # which is said where the parameters are read
        return False


def _check_empty(layer: Layer, answer: Answer) -> None:
    if answer.entry.facts.empty and layer.strict_empty:
        raise NotFoundError("Nothing is here, and 'empty=404' was asked for.")


def _cell(layer: Layer, address: Address) -> tuple[int, int]:
    """Column and row, the row counted from the north also where `scheme=tms` counts it from the south."""
    if layer.tms and address.z >= 0:
        return address.x, (1 << address.z) - 1 - address.y
    return address.x, address.y


def timing(answer: Answer, total: float) -> bytes:
    """Server-Timing of an answer that took `total` milliseconds."""
    facts = answer.entry.facts
    if answer.source not in {"run", "shared"}:
        return b"lookup;dur=%.3f" % total
    lookup = max(total - answer.queue_ms - facts.udf_ms - facts.encode_ms, 0.0)
    parts = (lookup, answer.queue_ms, facts.udf_ms, facts.encode_ms)
    return b"lookup;dur=%.2f, queue;dur=%.2f, udf;dur=%.2f, encode;dur=%.2f" % parts


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; where the client hangs up first, the work is cancelled.

    Raises:
        ClientGoneError: it has hung up.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        watch.cancel()
        task.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
