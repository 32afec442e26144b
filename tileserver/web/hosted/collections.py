"""Collections, which the hosted API also calls canvases: shared with one token, and the sessions of that token.

Each account has one, `default`, with all of its UDFs; whatever name the SDK asks for, it is that one.
"""

from datetime import UTC, datetime
from typing import Final, Literal, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError
from tileserver.registry import Account, Collection, Registry
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.hosted.requests import BASE, PAGE, Read, moment, page, takes, truth
from tileserver.web.operations import Operation, Parameter
from tileserver.web.session_tokens import LONGEST, issued

NAME: Final = "default"
_PASSCODE: Final = range(8, 201)
"""Characters."""
_ID: Final = Parameter("collection_id", str, "the collection's id")
_ANEW: Final = Parameter("new_token", bool, "whether another takes the place of the one that it has")
_HEADERS: Final = {"cache-control": "no-store"}


class CollectionChange(msgspec.Struct, kw_only=True):
    """The body of `POST /collection/by-id/{id}`; None leaves as it is."""

    name: str = NAME
    access_scope: Literal["public", "team"] | None = None
    passcode: str | None = None


class NewSession(msgspec.Struct, kw_only=True):
    """The body of `POST /session-token/by-access-token/{token}`; seconds."""

    ttl: int = 3600


class CollectionRecord(TypedDict):
    """A collection by the hosted API's names, and where its UDFs are."""

    id: str
    name: str
    username: str
    access_scope: str
    last_updated: str
    allow_public_read: bool
    share_token: str | None
    share_client_id: None
    passcode: str | None
    tile_url: str | None
    file_url: str | None


class Session(TypedDict):
    """A session of a collection's token."""

    token: str
    session_token: str
    expires_at: str


class CollectionRoutes:
    """For the collection's account; sessions also for its team."""

    def __init__(self, registry: Registry, access: Access, addresses: Addresses) -> None:
        self._registry, self._access, self._addresses = registry, access, addresses

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        by_id = f"{BASE}/collection/by-id/{{id}}"
        return [
            Route(f"{BASE}/collection/self", self.collections),
            Route(f"{BASE}/collection/self/lite", self.collections),
            Route(f"{BASE}/collection/by-name/{{name}}", self.by_name),
            Route(by_id, self.by_id),
            Route(by_id, self.change, methods=["POST"]),
            Route(f"{BASE}/collection/share", self.share, methods=["POST"]),
            Route(f"{BASE}/collection/unshare", self.unshare, methods=["POST"]),
            Route(f"{BASE}/session-token/by-access-token/{{token}}", self.session, methods=["POST"]),
        ]

    @Operation(answer=list[CollectionRecord], parameters=PAGE)
    async def collections(self, request: Request) -> Response:
        """A page of the account's, of which there is one."""
        account = await self._access.owner(request.scope)
        skip, limit = page(request)
        found = [await self._registry.collections.of(account.id)]
        return JSONResponse([self._told(request, each) for each in found[skip : skip + limit]], headers=_HEADERS)

    @Operation(answer=CollectionRecord)
    async def by_name(self, request: Request) -> Response:
        """The account's."""
        account = await self._access.owner(request.scope)
        found = await self._registry.collections.of(account.id)
        told = self._told(request, found)
        told["name"] = request.path_params["name"]
        return JSONResponse(told, headers=_HEADERS)

    @Operation(answer=CollectionRecord)
    async def by_id(self, request: Request) -> Response:
        """The account's, by its id."""
        account = await self._own(request, request.path_params["id"])
        return self._answer(request, await self._registry.collections.of(account.id))

    @Operation(answer=CollectionRecord, fails=("conflict",))
    @takes(CollectionChange)
    async def change(self, request: Request, read: Read[CollectionChange]) -> Response:
        """Says for whom its token is, and with which passcode; an empty one takes it away."""
        account, wanted = await self._own(request, request.path_params["id"]), await read()
        if wanted.name != NAME:
            raise ConflictError(f"An account has one collection, and its name is '{NAME}'.")
        if wanted.passcode and len(wanted.passcode) not in _PASSCODE:
            raise InvalidParameterError("A passcode has 8 to 200 characters.", parameter="passcode")
        changed = await self._registry.collections.change(
            account.id, access_scope=wanted.access_scope, passcode=wanted.passcode
        )
        return self._answer(request, changed)

    @Operation(answer=CollectionRecord, parameters=(_ID, _ANEW), fails=("not_found",))
    async def share(self, request: Request) -> Response:
        """Gives it a token, with `new_token` in the place of the one that it has."""
        account = await self._own(request, request.query_params.get("collection_id", ""))
        anew = truth(request.query_params.get("new_token", "false"), "new_token")
        return self._answer(request, await self._registry.collections.share(account.id, anew=anew))

    @Operation(answer=CollectionRecord, parameters=(_ID,), fails=("not_found",))
    async def unshare(self, request: Request) -> Response:
        """Takes its token away."""
        account = await self._own(request, request.query_params.get("collection_id", ""))
        return self._answer(request, await self._registry.collections.unshare(account.id))

    @Operation(answer=Session, fails=("conflict",))
    @takes(NewSession)
    async def session(self, request: Request, read: Read[NewSession]) -> Response:
        """A session that opens what the token opens to nobody without one."""
        account, token = await self._access.owner(request.scope), request.path_params["token"]
        seconds = (await read()).ttl
        if not 0 < seconds <= LONGEST:
            raise InvalidParameterError(f"'ttl' is 1 to {LONGEST} seconds.", parameter="ttl")
        found = await self._registry.collections.by_token(token)
        if found is None or not found.is_for(account):
            raise NotFoundError("Token not found")
        if found.access_scope == "public" and not found.passcode:
            raise ConflictError("The collection is public: its token needs no session.")
        session, until = issued(self._registry.keyring, token, seconds)
        ends = datetime.fromtimestamp(until, UTC).isoformat()
        return JSONResponse(Session(token=token, session_token=session, expires_at=ends), headers=_HEADERS)

    async def _own(self, request: Request, collection_id: str) -> Account:
        """The account that asks, if the collection is its own; its id is the account's."""
        account = await self._access.owner(request.scope)
        if collection_id != account.id:
            raise NotFoundError("Collection not found")
        return account

    def _answer(self, request: Request, found: Collection) -> Response:
        return JSONResponse(self._told(request, found), headers=_HEADERS)

    def _told(self, request: Request, found: Collection) -> CollectionRecord:
        opened = f"{self._addresses.base(request.scope)}{BASE}/realtime-shared/{found.token}/{{name}}/run"
        return {
            "id": found.account_id,
            "name": NAME,
            "username": found.handle,
            "access_scope": found.access_scope,
            "last_updated": moment(found.updated),
            "allow_public_read": False,
            "share_token": found.token,
            "share_client_id": None,
            "passcode": found.passcode,
            "tile_url": f"{opened}/tiles/{{z}}/{{x}}/{{y}}" if found.token else None,
            "file_url": opened if found.token else None,
        }
