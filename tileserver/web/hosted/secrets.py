"""Secrets (hosted API, section 2.4): values for an account's own functions. Any client id is accepted in the path."""

from typing import Final, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import NotFoundError
from tileserver.registry import Account, Registry
from tileserver.web.access import Access
from tileserver.web.hosted.requests import BASE, Read, takes
from tileserver.web.operations import Operation

_PLACE: Final = f"{BASE}/realtime/{{client}}/api/v1/secrets"
_USER: Final = f"{BASE}/secrets/self/user"
"""Where 2.x reads what is a user's in every environment; here an account's secrets are that."""
_HEADERS: Final = {"cache-control": "no-store"}


class Value(msgspec.Struct, kw_only=True):
    """The body of `PUT .../secrets/{key}`."""

    value: str


class Keys(TypedDict):
    """Of an account's secrets."""

    secrets: list[str]


class Kept(TypedDict):
    """A secret."""

    value: str


class SecretRoutes:
    """Read and changed by their account."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self.registry, self.access = registry, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(_PLACE, self.secrets),
            Route(_USER, self.user_secrets),
            Route(f"{_USER}/{{key}}", self.user_secret),
            Route(f"{_PLACE}/{{key}}", self.secret),
            Route(f"{_PLACE}/{{key}}", self.put_secret, methods=["PUT"]),
            Route(f"{_PLACE}/{{key}}", self.delete_secret, methods=["DELETE"]),
        ]

    @Operation(answer=dict[str, str])
    async def secrets(self, request: Request) -> Response:
        """All of the account's, by key."""
        account = await self.access.owner(request.scope)
        return JSONResponse(await self.registry.secrets.of(account.id), headers=_HEADERS)

    @Operation(answer=str)
    async def secret(self, request: Request) -> Response:
        """One of the account's."""
        account = await self.access.owner(request.scope)
        return JSONResponse(await self._value(request, account), headers=_HEADERS)

    @Operation(answer=Keys)
    async def user_secrets(self, request: Request) -> Response:
        """Their keys."""
        account = await self.access.owner(request.scope)
        return JSONResponse(Keys(secrets=list(await self.registry.secrets.of(account.id))), headers=_HEADERS)

    @Operation(answer=Kept)
    async def user_secret(self, request: Request) -> Response:
        """One of them."""
        account = await self.access.owner(request.scope)
        return JSONResponse(Kept(value=await self._value(request, account)), headers=_HEADERS)

    @Operation(answer=str)
    @takes(Value)
    async def put_secret(self, request: Request, read: Read[Value]) -> Response:
        """Keeps a value under a key."""
        account = await self.access.owner(request.scope)
        value = (await read()).value
        await self.registry.secrets.put(account.id, request.path_params["key"], value)
        return JSONResponse(value, headers=_HEADERS)

    @Operation(answer=str)
    async def delete_secret(self, request: Request) -> Response:
        """Forgets a value and answers with what it was."""
        account = await self.access.owner(request.scope)
        value = await self._value(request, account)
        await self.registry.secrets.delete(account.id, request.path_params["key"])
        return JSONResponse(value, headers=_HEADERS)

    async def _value(self, request: Request, account: Account) -> str:
        value = (await self.registry.secrets.of(account.id)).get(request.path_params["key"])
        if value is None:
            raise NotFoundError("Secret not found")
        return value
