"""The application: token routes first, then Starlette's router; errors become answers here."""

import logging
import re
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from tileserver.codeproxy import CodeProxy
from tileserver.errors import NotFoundError, TileserverError
from tileserver.pipeline import Pipeline
from tileserver.publication import Publisher
from tileserver.settings import Settings
from tileserver.usage import Usage
from tileserver.web.access import Access
from tileserver.web.accounts import AccountRoutes
from tileserver.web.addresses import Addresses
from tileserver.web.answering import Answering
from tileserver.web.answers import CORS, PREFLIGHT, Receive, Scope, Send, error_answer, respond
from tileserver.web.cached import CacheRoutes
from tileserver.web.clearing import ClearingRoutes
from tileserver.web.health import HealthRoutes
from tileserver.web.hosted import hosted_routes
from tileserver.web.maps import MapRoutes
from tileserver.web.operations import Operation
from tileserver.web.owner import OwnerRoutes
from tileserver.web.reference import ReferenceRoutes
from tileserver.web.runs import RunRoutes
from tileserver.web.tiles import TokenRoutes, parse
from tileserver.web.usage import UsageRoutes

_LOG: Final = logging.getLogger("tileserver.web")
_TOKEN_PREFIXES: Final = (b"/tiles/", b"/files/", b"/server/v1/realtime-shared/")
_PLACES: Final = ("/tiles/{token}", "/server/v1/realtime-shared/{token}/run/tiles")
"""Where the tile templates are, ours and the hosted API's."""
_SIBLINGS: Final = (b"/tilejson.json", b"/metadata.json", b"/map")
"""What else there is below a token; the router knows the rest."""
_CACHE: Final = re.compile(rb"/server/v1/realtime-shared/[^/]+/udf-cache/")
"""For a UDF's owner, though it begins as a token's address does."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS: Final = frozenset({b"/livez", b"/readyz", b"/favicon.ico"})


class Application:
    """An ASGI application."""

    def __init__(
        self, settings: Settings, pipeline: Pipeline, publisher: Publisher, usage: Usage, code: CodeProxy
    ) -> None:
        self.access = Access(settings, pipeline.registry)
        self.addresses = Addresses(settings, self.access)
        answering = Answering(pipeline, self.access, usage)
        self.tokens, self.recent = TokenRoutes(answering), answering.recent
        known = routes(answering, publisher, code, self.addresses)
        self.router = Router(known, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the router."""
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        ready = self.recent.find(scope)
        if ready is not None:
            await send(ready[0])
            await send(ready[1])
            return
        path = self.addresses.strip(scope["raw_path"])
        try:
            address = parse(path) if path.startswith(_TOKEN_PREFIXES) and scope["method"] in _READS else None
            if address is not None:
                await self.tokens(scope, receive, send, address)
            else:
                await self._route(scope, receive, send, path)
        except TileserverError as error:
            await error_response(scope, error)(scope, receive, send)
        except HTTPException as refusal:
            await refusal_response(scope, refusal)(scope, receive, send)
        except Exception:  # the one place where an accident of ours becomes an answer; raises where one had begun
            _LOG.exception("a request failed")
            await error_response(scope, TileserverError())(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send, path: bytes) -> None:
        """Hand on to the router what some route can mean, and what comes under a name and from a page of ours."""
        if path.startswith(_TOKEN_PREFIXES) and not _CACHE.match(path):
            if scope["method"] == "OPTIONS":
                await respond(scope, send, 204, PREFLIGHT, b"")
                return
            _check_token_path(scope["method"], path)
        elif path not in _OPEN_PATHS:
            self.access.check_host(scope)
            self.access.check_origin(scope)
        if b"%00" in path or b"%2f" in path.lower():
            raise NotFoundError
        scope["path"] = str(self.addresses.strip(scope["path"].encode()), "utf-8")
        scope["app"] = self  # with it the router raises what it refuses
        try:
            await self.router(scope, receive, send)
        except HTTPException as refusal:
            if refusal.status_code == 405:
                raise HTTPException(405, headers={"allow": self._allowed(scope)}) from None
            raise

    def _allowed(self, scope: Scope) -> str:
        """The methods of all routes of a path; the router knows of the first one only."""
        found = [
            each for each in self.router.routes if isinstance(each, Route) and each.path_regex.match(scope["path"])
        ]
        return ", ".join(sorted({method for each in found for method in each.methods or ()})) or "GET, HEAD"


def _check_token_path(method: str, path: bytes) -> None:
    """Refuse here, in microseconds, what is below a token and no route would take."""
    if method not in _READS:
        raise HTTPException(405, headers={"allow": "GET, HEAD, OPTIONS"})
    if not path.endswith(_SIBLINGS):
        raise NotFoundError


def error_response(scope: Scope, error: TileserverError) -> Response:
    """An error as Starlette answers it; readable from other origins on token routes only."""
    path = scope["raw_path"]
    status, headers, body = error_answer(error, hosted=b"/server/v1/" in path)
    response = Response(body, status)
    response.raw_headers += headers + (CORS if any(prefix in path for prefix in _TOKEN_PREFIXES) else [])
    return response


def refusal_response(scope: Scope, refusal: HTTPException) -> Response:
    """What the router refused: no such address, or not by this method."""
    wrong_method = refusal.status_code == 405
    response = error_response(scope, NotFoundError("This address does not take that method." if wrong_method else None))
    response.status_code = refusal.status_code
    response.headers.update(refusal.headers or {})
    return response


def routes(answering: Answering, publisher: Publisher, code: CodeProxy, addresses: Addresses) -> list[BaseRoute]:
    """Everything but tiles and files."""
    pipeline, access = answering.pipeline, answering.access
    maps = MapRoutes(pipeline, access, addresses)
    owner = OwnerRoutes(answering, addresses)
    health = HealthRoutes(pipeline.executor, pipeline.settings.isolation)
    known: list[BaseRoute] = [
        Route("/", owner.index),
        Route("/sign-in", owner.sign_in),
        Route("/sign-out", owner.sign_out, methods=["POST"]),
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", answering.metrics.show),
        Route("/favicon.ico", owner.favicon),
        *(Route(f"{place}/tilejson.json", maps.tilejson) for place in _PLACES),
        *(Route(f"{place}/metadata.json", maps.metadata) for place in _PLACES),
        Route("/tiles/{token}/map", maps.map),
        *RunRoutes(pipeline.registry, pipeline.runs, access).routes(),
        *ClearingRoutes(pipeline, access).routes(),
        *CacheRoutes(answering).routes(),
        *UsageRoutes(answering).routes(),
        *AccountRoutes(pipeline.registry, access, pipeline.settings).routes(),
        *hosted_routes(answering, publisher, code, addresses),
        Mount("/static", PageFiles(directory=Path(__file__).parent / "static")),
    ]
    return [*known, *ReferenceRoutes(known).routes()]


@Operation(media=("*/*",), also={304: ("It is as `If-None-Match` has it.", "")}, who="anybody")
class PageFiles(StaticFiles):
    """A script, a style sheet or a picture of the pages."""
