"""Account and discovery (hosted API, section 2.1)."""

from typing import Any, Final, TypedDict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.registry import Registry
from tileserver.web.access import Access
from tileserver.web.hosted.requests import BASE
from tileserver.web.operations import Operation

_TOKEN_SECONDS: Final = 86400
_SECRET: Final = {"cache-control": "no-store"}


class Whoami(TypedDict):
    """An account."""

    id: str
    email: str
    handle: str
    name: str
    execution_environment_id: str


class Instance(TypedDict):
    """Where functions run."""

    client_id: str
    name: str
    preference_rank: int


class Named(TypedDict):
    """Something with an id and a name."""

    id: str
    name: str


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

    @Operation(answer=dict[str, str], who="anybody")
    async def health(self, request: Request) -> Response:
        """Answers as long as the server does."""
        return JSONResponse({"status": "ok"})

    @Operation(answer=Whoami)
    async def whoami(self, request: Request) -> Response:
        """The account."""
        account = await self.access.owner(request.scope)
        told = Whoami(
            id=account.id,
            email=account.email,
            handle=account.handle,
            name=account.name,
            execution_environment_id=account.environment_id,
        )
        return JSONResponse(told)

    @Operation(answer=list[Instance])
    async def instances(self, request: Request) -> Response:
        """One instance: this server. Any client id is accepted in paths."""
        await self.access.owner(request.scope)
        return JSONResponse([Instance(client_id="fused", name="tileserver", preference_rank=1)])

    @Operation(answer=Named)
    async def environment(self, request: Request) -> Response:
        """The environment, which is the team's where there is one."""
        account = await self.access.owner(request.scope)
        return JSONResponse(Named(id=account.environment_id, name=account.team or account.name))

    @Operation(answer=str)
    async def token(self, request: Request) -> Response:
        """A private token of the account that is good for a day."""
        account = await self.access.owner(request.scope)
        token = await self.registry.credentials.mint_private_token(account.id, _TOKEN_SECONDS)
        return JSONResponse(token, headers=_SECRET)

    @Operation(answer=dict[str, Any])
    async def dependencies(self, request: Request) -> Response:
        """Packages are what the server's own environment has; there is no list to choose from."""
        await self.access.owner(request.scope)
        return JSONResponse({"dependency_whitelist": {}})
