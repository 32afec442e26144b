"""The API reference: as OpenAPI for programs, and as a page for people."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.web import tiles
from tileserver.web.openapi import document
from tileserver.web.operations import HTML, JSON, Operation, described
from tileserver.web.owner import HEADERS
from tileserver.web.reference_page import reference_page

_HEADERS: Final = {"cache-control": "max-age=3600"}


class ReferenceRoutes:
    """What this server answers."""

    def __init__(self, known: Sequence[BaseRoute]) -> None:
        self._known = known

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route("/openapi.json", self.openapi), Route("/docs", self.docs)]

    @Operation(answer=dict[str, Any], who="anybody")
    async def openapi(self, request: Request) -> Response:
        """This description, in OpenAPI 3.1."""
        return Response(self._json, media_type=JSON, headers=_HEADERS)

    @Operation(media=(HTML,), who="anybody")
    async def docs(self, request: Request) -> Response:
        """The same as a page."""
        return HTMLResponse(self._page, headers=HEADERS)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The description of all routes, those that `tiles` reads by hand among them."""
        return document(chain(tiles.described(), described([*self._known, *self.routes()])))

    @cached_property
    def _json(self) -> bytes:
        return orjson.dumps(self.document)

    @cached_property
    def _page(self) -> str:
        return reference_page(self.document)
