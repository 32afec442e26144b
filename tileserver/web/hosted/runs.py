"""Runs of an account: of UDFs that it names, and of those whose source comes with the request (hosted API, 2.4)."""

import hashlib
import re
import time
import uuid
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from tileserver import query as queries
from tileserver.errors import InvalidParameterError, TileserverError
from tileserver.layers import Answer, Ask, Layer, Posted
from tileserver.web.access import Access
from tileserver.web.answering import Address, Answering, ClientGoneError, ask_of, timing, unless_gone
from tileserver.web.answers import Receive, Scope, Send, prepare, send_error, send_prepared
from tileserver.web.depth import check_depth
from tileserver.web.hosted.pending import Pending
from tileserver.web.hosted.posted import PostedRun, Step
from tileserver.web.hosted.requests import BASE, Read, decoded, takes
from tileserver.web.operations import JSON, Parameter
from tileserver.web.tiles import ANSWER, named

HOLD_SECONDS: Final = 3.0
"""For which a request waits before it is told to come again; the SDK gives up after five."""
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SAVED: Final = msgspec.structs.replace(ANSWER, who="account")
_POSTED: Final = msgspec.structs.replace(_SAVED, fails=(*ANSWER.fails, "not_publishable"))
_LONG: Final = msgspec.structs.replace(
    _POSTED, also=ANSWER.also | {202: ("It runs; ask `get` for what it comes to.", JSON)}
)
_ID: Final = Parameter("Fused-Run-Id", str, "8 to 64 letters, digits, `-` and `_` to ask for it by", place="header")
_STARTED: Final = msgspec.structs.replace(_LONG, parameters=(*_LONG.parameters, _ID), fails=(*_LONG.fails, "conflict"))
_POLLED: Final = msgspec.structs.replace(_LONG, parameters=())


class _Run(NamedTuple):
    """What is to be run."""

    address: Address
    posted: Posted
    query: queries.Query
    digest: bytes
    """Of all that was asked."""


class RunRoutes:
    """Runs for the account that asks; any client id in a path is one of ours."""

    def __init__(self, answering: Answering, access: Access, pending: Pending) -> None:
        self._answering, self._access, self._pending = answering, access, pending

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        runs = f"{BASE}/realtime/{{client}}/api/v1/run/udf"
        return [
            *_with_tiles(f"{runs}/saved/{{who}}/{{name}}", self.saved, "GET"),
            *_with_tiles(runs, self.posted, "POST"),
            *_with_tiles(f"{runs}/start", self.started, "POST"),
            Route(f"{runs}/get/{{run}}", self.poll),
        ]

    @_SAVED
    async def saved(self, request: Request) -> ASGIApp:
        """Runs a UDF that the account may see."""
        account = await self._access.owner(request.scope)
        address = named(request.path_params["name"], _place(request))
        ask = ask_of(request.scope, address, account, request.path_params["who"])
        return partial(self._answering, address=address, ask=ask)

    @_POSTED
    @takes(PostedRun)
    async def posted(self, request: Request, read: Read[PostedRun]) -> ASGIApp:
        """Runs the UDF that comes with the request, and answers with its result."""
        run = await self._read(request, read)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            with suppress(ClientGoneError):
                await unless_gone(receive, self._answer(scope, send, run))

        return answer

    @_STARTED
    @takes(PostedRun)
    async def started(self, request: Request, read: Read[PostedRun]) -> ASGIApp:
        """The same, but after three seconds it answers 202, and the result is had from `poll`."""
        run = await self._read(request, read)
        name = _run_name(run.posted.account_id, request.headers.get("fused-run-id") or uuid.uuid4().hex)
        self._pending.begin(name, run.digest, partial(self._answer, request.scope, run=run))
        return await self._told(name)

    @_POLLED
    async def poll(self, request: Request) -> ASGIApp:
        """The result of a run that `started` began; 202 as long as there is none."""
        account = await self._access.owner(request.scope)
        return await self._told(_run_name(account.id, request.path_params["run"]))

    async def _told(self, name: str) -> ASGIApp:
        whole = await self._pending.told(name, HOLD_SECONDS)
        return whole if whole is not None else JSONResponse({"status": "running"}, 202)

    async def _read(self, request: Request, read: Read[PostedRun]) -> _Run:
        account = await self._access.owner(request.scope)
        check_depth(request.scope)
        asked = await read()
        udf = decoded(asked.step_config.encode(), Step).udf
        query = asked.query(udf) | queries.parse(request.scope["query_string"].decode("latin-1"))
        return _Run(named("", _place(request)), udf.posted(account.id), query, _digest(request, asked))

    async def _answer(self, scope: Scope, send: Send, run: _Run) -> None:
        """Run it and send what comes of it, however it ends."""
        began = time.perf_counter()
        try:
            layer, answer = await self._find(run)
        except TileserverError as error:
            self._answering.metrics.failed(error.code)
            await send_error(scope, send, error, hosted=True, owner=True)
            return
        prepared = prepare(layer, answer.entry, answer.source, hosted=True, owner=True)
        await send_prepared(scope, send, prepared, timing(answer, (time.perf_counter() - began) * 1000))

    async def _find(self, run: _Run) -> tuple[Layer, Answer]:
        place, posted, account_id = run.address, run.posted, run.posted.account_id
        ask = Ask("", place.extension, place.scale, "", place.z >= 0, hosted=True)
        caps = await self._answering.pipeline.registry.accounts.caps(account_id)
        async with self._answering.admitted(account_id, account_id, "", caps):
            layer = await self._answering.pipeline.posted_layer(posted, ask, run.query)
            answer = await self._answering.render(place, layer)
            self._answering.count(layer, answer)
        return layer, answer


def _digest(request: Request, asked: PostedRun) -> bytes:
    address = request.scope["raw_path"] + b"?" + request.scope["query_string"] + b"\n"
    return hashlib.sha256(address + msgspec.json.encode(asked)).digest()


def _with_tiles(path: str, endpoint: Any, method: str) -> list[BaseRoute]:
    return [Route(each, endpoint, methods=[method]) for each in (path, path + "/tiles/{z}/{x}/{y}")]


def _place(request: Request) -> str:
    parts = request.path_params
    return f"/{parts['z']}/{parts['x']}/{parts['y']}" if "z" in parts else ""


def _run_name(account_id: str, run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidParameterError("Fused-Run-Id is 8 to 64 letters, digits, '-' and '_'.", parameter="Fused-Run-Id")
    return f"{account_id}.{run_id}"
