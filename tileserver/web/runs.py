"""What a UDF's runs printed, raised and cost, for its owner."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tileserver.registry import Registry
from tileserver.runlog import KEPT, Run, RunLog
from tileserver.web.access import Access
from tileserver.web.hosted.owned import named_udf
from tileserver.web.hosted.requests import whole
from tileserver.web.operations import Natural, Operation, Parameter

_WAIT_SECONDS: Final = 25
"""Below what proxies allow a request that says nothing."""
_WHICH: Final = (
    Parameter("limit", Natural, f"how many runs, {KEPT} at most"),
    Parameter("after", Natural, "the id behind which they are; the newest without it"),
    Parameter("wait", Natural, f"seconds to wait for the first one behind `after`, {_WAIT_SECONDS} at most"),
)
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class RunRoutes:
    """The log of runs, by UDF."""

    def __init__(self, registry: Registry, runs: RunLog, access: Access) -> None:
        self.registry, self.runs, self.access = registry, runs, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route("/api/v1/udf/{name}/logs", self.logs)]

    @Operation(answer=list[Run], parameters=_WHICH)
    async def logs(self, request: Request) -> Response:
        """The newest runs, the newest last; with `after`, those behind that id, for which `wait` waits."""
        account = await self.access.owner(request.scope)
        stored = await named_udf(self.registry, account, request.path_params["name"])
        limit, wait = _number(request, "limit", KEPT, 50), _number(request, "wait", _WAIT_SECONDS, 0)
        after = _number(request, "after", 2**53, -1)
        if after < 0:
            runs = await self.runs.last(stored.id, limit)
        else:
            runs = await self.runs.wait(stored.id, after, wait, limit)
        return Response(msgspec.json.encode(runs), media_type="application/json", headers=_HEADERS)


def _number(request: Request, name: str, most: int, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    return min(whole(text, f"'{name}' should be a whole number, not negative.", parameter=name, digits=19), most)
