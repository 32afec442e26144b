"""Account and discovery (hosted API, section 2.1)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.registry import Registry
from tileserver.web.access import Access
from tileserver.web.hosted.requests import BASE

_TOKEN_SECONDS: Final = 86400
_SECRET: Final = {"cache-control": "no-store"}


class AccountRoutes:
    """Who one is, and what the SDK asks before its first run."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self.registry, self.access = registry, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(f"{BASE}/health", self.health),
            Route(f"{BASE}/user/self", self.whoami),
            Route(f"{BASE}/realtime-instance/available", self.instances),
            Route(f"{BASE}/execution-env/self", self.environment),
            Route(f"{BASE}/execution-env/token", self.token),
            Route(f"{BASE}/internal/dependency-whitelist", self.dependencies),
        ]

    async def health(self, request: Request) -> Response:
        """200."""
        return JSONResponse({"status": "ok"})

    async def whoami(self, request: Request) -> Response:
        """The account."""
        account = await self.access.owner(request.scope)
        names = {"id": account.id, "email": account.email, "handle": account.handle, "name": account.name}
        return JSONResponse(names | {"execution_environment_id": account.environment_id})

    async def instances(self, request: Request) -> Response:
        """One instance: this server. Any client id is accepted in paths."""
        await self.access.owner(request.scope)
        return JSONResponse([{"client_id": "fused", "name": "tileserver", "preference_rank": 1}])

    async def environment(self, request: Request) -> Response:
        """The environment, which is the team's where there is one."""
        account = await self.access.owner(request.scope)
        return JSONResponse({"id": account.environment_id, "name": account.team or account.name})

    async def token(self, request: Request) -> Response:
        """A private token of the account that is good for a day."""
        account = await self.access.owner(request.scope)
        token = await self.registry.credentials.mint_private_token(account.id, _TOKEN_SECONDS)
        return JSONResponse(token, headers=_SECRET)

    async def dependencies(self, request: Request) -> Response:
        """Packages are what the server's own environment has; there is no list to choose from."""
        await self.access.owner(request.scope)
        return JSONResponse({"dependency_whitelist": {}})
