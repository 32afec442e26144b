"""The code proxy (hosted API, section 2.2)."""

import itertools
from typing import Final, TypedDict

from cachetools import TTLCache
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.codeproxy import Code, CodeProxy
from tileserver.errors import TooManyRequestsError
from tileserver.web.access import Access
from tileserver.web.hosted.requests import BASE, Json
from tileserver.web.hosted.udfs import udf_body
from tileserver.web.operations import Operation, Parameter

_A_MINUTE: Final = 60
"""Requests of an account, or of an address that strangers come from."""


class CodeRecord(TypedDict):
    """A UDF without an id: whoever saves it makes one of his own."""

    slug: str
    udf_body: Json
    udf_type: str


class CodeRoutes:
    """The source of UDFs on GitHub, for everybody: the settings say what may be read."""

    def __init__(self, code: CodeProxy, access: Access) -> None:
        self.code, self.access = code, access
        self._asked: TTLCache[str, itertools.count[int]] = TTLCache(10_000, 60)

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route(f"{BASE}/code-proxy/by-url", self.by_url)]

    @Operation(
        answer=CodeRecord,
        who="anybody",
        parameters=(Parameter("url", str, "of a folder or file on GitHub", required=True),),
        fails=("not_found", "not_publishable", "source_unavailable", "too_many_requests"),
    )
    async def by_url(self, request: Request) -> Response:
        """The UDF at the address `url`."""
        await self._count(request)
        return JSONResponse(_record(await self.code.udf(request.query_params.get("url", ""))))

    async def _count(self, request: Request) -> None:
        """Raises TooManyRequestsError where the minute's requests are used up."""
        account = await self.access.account(request.scope)
        who = account.id if account else request.client.host if request.client else ""
        if next(self._asked.setdefault(who, itertools.count(1))) > _A_MINUTE:
            raise TooManyRequestsError("Too many addresses are asked for; try again in a minute.", retry_after=60)


def _record(code: Code) -> CodeRecord:
    return {
        "slug": code.name,
        "udf_body": udf_body(code.name, code.code, code.headers, code.entry, {"fused:slug": code.name}),
        "udf_type": "auto",
    }
