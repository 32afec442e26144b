"""Clearing what is cached of a UDF (hosted API, section 2.4)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tileserver.registry import Registry
from tileserver.web.access import Access
from tileserver.web.hosted.owned import own_udf
from tileserver.web.hosted.requests import BASE
from tileserver.web.operations import Operation


class CacheRoutes:
    """For the UDF's owner; any client id is one of ours."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self._registry, self._access = registry, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        cache = f"{BASE}/realtime-shared/{{client}}/udf-cache/by-id/{{id}}"
        return [
            Route(f"{cache}/delete", self.clear, methods=["DELETE"]),
            Route(f"{cache}/batch-delete", self.clear, methods=["POST"]),
        ]

    @Operation(status=204)
    async def clear(self, request: Request) -> Response:
        """Makes all that is cached of a UDF stale, also where some of its tiles are named: 204."""
        account = await self._access.owner(request.scope)
        stored = await own_udf(self._registry, account, request.path_params["id"])
        await self._registry.publications.clear(stored.id)
        return Response(status_code=204)
