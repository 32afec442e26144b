"""Account and discovery (hosted API, section 2.1)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.web.access import Access
from tileserver.web.hosted.requests import BASE


class AccountRoutes:
    """Who one is, and what the SDK asks before its first run."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(f"{BASE}/health", self.health),
            Route(f"{BASE}/user/self", self.whoami),
            Route(f"{BASE}/realtime-instance/available", self.instances),
            Route(f"{BASE}/execution-env/self", self.environment),
            Route(f"{BASE}/internal/dependency-whitelist", self.dependencies),
            Route(f"{BASE}/collection/by-name/{{name}}", self.collection),
        ]

    async def health(self, request: Request) -> Response:
        """200."""
        return JSONResponse({"status": "ok"})

    async def whoami(self, request: Request) -> Response:
        """The account."""
        account = await self.access.owner(request.scope)
        names = {"id": account.id, "email": account.email, "handle": account.handle, "name": account.name}
        return JSONResponse(names | {"execution_environment_id": account.id})

    async def instances(self, request: Request) -> Response:
        """One instance: this server. Any client id is accepted in paths."""
        await self.access.owner(request.scope)
        return JSONResponse([{"client_id": "fused", "name": "tileserver", "preference_rank": 1}])

    async def environment(self, request: Request) -> Response:
        """The account's environment."""
        account = await self.access.owner(request.scope)
        return JSONResponse({"id": account.id, "name": account.name})

    async def dependencies(self, request: Request) -> Response:
        """Packages are what the server's own environment has; there is no list to choose from."""
        await self.access.owner(request.scope)
        return JSONResponse({"dependency_whitelist": {}})

    async def collection(self, request: Request) -> Response:
        """The one collection that every UDF is in."""
        account = await self.access.owner(request.scope)
        return JSONResponse({"id": account.id, "name": request.path_params["name"]})
