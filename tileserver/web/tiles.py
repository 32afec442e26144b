"""Tile and file routes: the URL to a layer and a tile, cheap refusals first; then the answer.

A small ASGI function in front of the router: a tile from memory meets no router and waits for no other task.
"""

import asyncio
import re
import time
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, TypeVar

from tileserver.errors import NotFoundError, TileserverError, UdfError
from tileserver.layers import Answer, Ask, Layer
from tileserver.pipeline import Pipeline
from tileserver.tiles import MAX_ZOOM, Tile
from tileserver.web.access import Access
from tileserver.web.answers import PREFLIGHT, Receive, Scope, Send, prepare, respond, send_error, send_prepared
from tileserver.web.blank import blank
from tileserver.web.metrics import Metrics
from tileserver.web.recent import Recent

T = TypeVar("T")

_TOKEN: Final = rb"([A-Za-z0-9_-]{1,128})"
_NUMBER: Final = rb"(0|[1-9][0-9]{0,9})"
_EXTENSION: Final = rb"(?:\.([a-z]{2,8}))?"
_ADDRESS: Final = rb"/(0|[1-9][0-9]?)/" + _NUMBER + rb"/" + _NUMBER + rb"(?:@([234])x)?" + _EXTENSION + rb"\Z"
_TILE: Final = re.compile(rb"/tiles/" + _TOKEN + _ADDRESS)
_HOSTED: Final = rb"/server/v1/realtime-shared/" + _TOKEN + _EXTENSION + rb"/run"
_HOSTED_TILE: Final = re.compile(_HOSTED + rb"/tiles" + _ADDRESS)
_FILE: Final = re.compile(rb"/files/" + _TOKEN + _EXTENSION + rb"\Z")
_HOSTED_FILE: Final = re.compile(_HOSTED + rb"(?:/file)?\Z")


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


def parse(path: bytes) -> Address | None:
    """The address that a path spells, or None. Plain ASCII digits only; x and y inside the zoom's pyramid.

    Args:
        path: as it came over the wire, still percent-encoded; only `%40` for `@` may be so.
    """
    if b"%" in path:
        path = path.replace(b"%40", b"@")
    if path.startswith(b"/tiles/"):
        return _tile(_TILE.match(path))
    if path.startswith(b"/files/"):
        return _file(_FILE.match(path), hosted=False)
    match = _HOSTED_TILE.match(path)
    return _hosted_tile(match) if match else _file(_HOSTED_FILE.match(path), hosted=True)


def _tile(match: re.Match[bytes] | None) -> Address | None:
    if match is None:
        return None
    token, z, x, y, scale, extension = match.groups()
    return _checked(token, z, x, y, scale, extension or b"", hosted=False)


def _hosted_tile(match: re.Match[bytes]) -> Address | None:
    token, early, z, x, y, scale, late = match.groups()
    return _checked(token, z, x, y, scale, late or early or b"", hosted=True)


def _checked(
    token: bytes, z: bytes, x: bytes, y: bytes, scale: bytes | None, extension: bytes, *, hosted: bool
) -> Address | None:
    zoom, column, row = int(z), int(x), int(y)
    if zoom > MAX_ZOOM or column >> zoom or row >> zoom:
        return None
    return Address(token.decode(), zoom, column, row, int(scale or 1), extension.decode(), hosted)


def _file(match: re.Match[bytes] | None, *, hosted: bool) -> Address | None:
    if match is None:
        return None
    return Address(match[1].decode(), -1, 0, 0, 1, (match[2] or b"").decode(), hosted)


class TokenRoutes:
    """Answers what `parse` understands."""

    def __init__(self, pipeline: Pipeline, access: Access) -> None:
        self.pipeline, self.access = pipeline, access
        self._word = pipeline.registry.generation_word
        self.recent = Recent(self._word)
        self.metrics = Metrics(pipeline.executor, self.recent)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, address: Address) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await respond(scope, send, 204, PREFLIGHT, b"")
            return
        began, generation = time.perf_counter(), self._word[0]
        query = scope["query_string"].decode("latin-1")
        ask = Ask(address.token, address.extension, address.scale, query, address.z >= 0)
        try:
            found = self._hit(address, ask)
            if found is None:
                found = await _unless_gone(receive, self._render(address, ask))
            layer, answer = found
            if answer.entry.facts.empty and layer.strict_empty:
                raise NotFoundError("Nothing is here, and 'empty=404' was asked for.")
        except ClientGoneError:
            return
        except TileserverError as error:
            self.metrics.failed(error.code)
            owner = isinstance(error, UdfError) and await self._is_owner(scope, ask.token)
            await send_error(scope, send, error, hosted=address.hosted, owner=owner)
            return
        self.metrics.answered(answer)
        prepared = prepare(layer, answer.entry, answer.source, hosted=address.hosted)
        timing = _timing(answer, (time.perf_counter() - began) * 1000)
        if answer.source == "memory":
            self.recent.keep(scope, prepared, timing, generation)
        await send_prepared(scope, send, prepared, timing)

    def _hit(self, address: Address, ask: Ask) -> tuple[Layer, Answer] | None:
        layer = self.pipeline.layer(ask)
        if layer is None:
            return None
        entry = self.pipeline.hit(layer, address.z, *_cell(layer, address))
        return (layer, Answer(entry=entry, source="memory")) if entry is not None else None

    async def _render(self, address: Address, ask: Ask) -> tuple[Layer, Answer]:
        layer = self.pipeline.layer(ask) or await self.pipeline.find_layer(ask)
        if address.z < 0:
            return layer, await self.pipeline.render(layer, None)
        tile = Tile(address.z, *_cell(layer, address), size=layer.output.size)
        if not layer.covers(tile):
            return layer, Answer(entry=blank(layer, time.time()), source="outside")
        return layer, await self.pipeline.render(layer, tile)

    async def _is_owner(self, scope: Scope, token: str) -> bool:
        """Whether who asks owns the UDF behind the token, or the token shows errors to everybody."""
        try:
            grant = await self.pipeline.grants.of(token)
            account = await self.access.account(scope)
        except TileserverError:
            return False
        return grant.expose_errors or (account is not None and account.id == grant.account_id)


def _cell(layer: Layer, address: Address) -> tuple[int, int]:
    """Column and row, the row counted from the north also where `scheme=tms` counts it from the south."""
    if layer.tms and address.z >= 0:
        return address.x, (1 << address.z) - 1 - address.y
    return address.x, address.y


def _timing(answer: Answer, total: float) -> bytes:
    """Server-Timing of an answer that took `total` milliseconds."""
    facts = answer.entry.facts
    if answer.source not in {"run", "shared"}:
        return b"lookup;dur=%.3f" % total
    lookup = max(total - answer.queue_ms - facts.udf_ms - facts.encode_ms, 0.0)
    parts = (lookup, answer.queue_ms, facts.udf_ms, facts.encode_ms)
    return b"lookup;dur=%.2f, queue;dur=%.2f, udf;dur=%.2f, encode;dur=%.2f" % parts


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; where the client hangs up first, the work is cancelled."""
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
