"""The application: token routes first, then Starlette's router; errors become answers here."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tileserver.errors import NotFoundError, TileserverError
from tileserver.pipeline import Pipeline
from tileserver.publication import Publisher
from tileserver.settings import Settings
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.answers import CORS, PREFLIGHT, Receive, Scope, Send, error_answer, respond
from tileserver.web.health import HealthRoutes
from tileserver.web.hosted import hosted_routes
from tileserver.web.maps import MapRoutes
from tileserver.web.openapi import openapi
from tileserver.web.owner import OwnerRoutes
from tileserver.web.tiles import TokenRoutes, parse

_TOKEN_PREFIXES = (b"/tiles/", b"/files/", b"/server/v1/realtime-shared/")
_OPEN_PATHS = frozenset({"/livez", "/readyz", "/favicon.ico"})


class Application:
    """An ASGI application."""

    def __init__(self, settings: Settings, pipeline: Pipeline, publisher: Publisher) -> None:
        self.access = Access(settings, pipeline.registry)
        self.addresses = Addresses(settings)
        self.tokens = TokenRoutes(pipeline, self.access)
        self.router = Starlette(
            routes=routes(pipeline, publisher, self.access, self.addresses),
            exception_handlers={TileserverError: _answer_error, Exception: _answer_accident},
        )
        self.router.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the router."""
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        ready = self.tokens.recent.find(scope)
        if ready is not None:
            await send(ready[0])
            await send(ready[1])
            return
        path = self.addresses.strip(scope["raw_path"])
        if path.startswith(_TOKEN_PREFIXES) and scope["method"] in ("GET", "HEAD", "OPTIONS"):
            address = parse(path)
            if address is not None:
                await self.tokens(scope, receive, send, address)
                return
        await self._route(scope, receive, send, path)

    async def _route(self, scope: Scope, receive: Receive, send: Send, raw: bytes) -> None:
        if raw.startswith(_TOKEN_PREFIXES) and scope["method"] == "OPTIONS":
            await respond(scope, send, 204, PREFLIGHT, b"")
            return
        try:
            self._check(scope, raw)
        except TileserverError as error:
            await error_response(scope, error)(scope, receive, send)
            return
        scope["path"] = str(self.addresses.strip(scope["path"].encode()), "utf-8")
        await self.router(scope, receive, send)

    def _check(self, scope: Scope, raw: bytes) -> None:
        """Refuse what no route means, and what comes under a name or from a page that is not ours."""
        if b"%00" in raw or b"%2f" in raw.lower():
            raise NotFoundError
        if not raw.startswith(_TOKEN_PREFIXES) and scope["path"] not in _OPEN_PATHS:
            self.access.check_host(scope)
            self.access.check_origin(scope)


def error_response(scope: Scope, error: TileserverError) -> Response:
    """An error as Starlette answers it; readable from other origins on token routes only."""
    path = scope["raw_path"]
    status, headers, body = error_answer(error, hosted=b"/server/v1/" in path)
    response = Response(body, status)
    response.raw_headers += headers + (CORS if any(prefix in path for prefix in _TOKEN_PREFIXES) else [])
    return response


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TileserverError)
    return error_response(request.scope, error)


async def _answer_accident(request: Request, error: Exception) -> Response:
    return error_response(request.scope, TileserverError())


def routes(pipeline: Pipeline, publisher: Publisher, access: Access, addresses: Addresses) -> list[BaseRoute]:
    """Everything but tiles and files."""
    maps = MapRoutes(pipeline, addresses)
    owner = OwnerRoutes(pipeline.registry, access, addresses)
    health = HealthRoutes(pipeline.executor)
    static = StaticFiles(directory=Path(__file__).parent / "static")
    return [
        Route("/", owner.index),
        Route("/sign-in", owner.sign_in),
        Route("/sign-out", owner.sign_out, methods=["POST"]),
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/favicon.ico", _favicon),
        Route("/openapi.json", _openapi),
        Route("/tiles/{token}/tilejson.json", maps.tilejson),
        Route("/tiles/{token}/metadata.json", maps.metadata),
        Route("/server/v1/realtime-shared/{token}/run/tiles/metadata.json", maps.metadata),
        Route("/tiles/{token}/map", maps.map),
        *hosted_routes(pipeline.registry, publisher, access, addresses),
        Mount("/static", static),
        Route("/{path:path}", _absent),
    ]


async def _absent(request: Request) -> Response:
    raise NotFoundError


async def _favicon(request: Request) -> Response:
    return Response(status_code=204, headers={"cache-control": "max-age=86400"})


async def _openapi(request: Request) -> Response:
    return JSONResponse(openapi(), headers={"cache-control": "max-age=3600"})
