"""Shared tokens (hosted API, section 2.3)."""

import json
from typing import Any, Final, TypedDict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.annotations import DEPTH, is_deeper
from tileserver.errors import InvalidParameterError
from tileserver.registry import Account, Registry, SharedToken, StoredUdf, TokenOptions
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.hosted.owned import authored, own_token, own_udf, seen_udf
from tileserver.web.hosted.requests import BASE, PAGE, Read, moment, page, takes
from tileserver.web.operations import Operation

_METADATA_LIMIT: Final = 64_000
"""Characters of a token's metadata as JSON, which lists of tokens and the layer's description repeat."""


class NewToken(TokenOptions, kw_only=True):
    """The body of `POST /udf-access-token/new`; one of the two ways to name the UDF is set."""

    udf_email: str | None = None
    udf_slug: str | None = None
    udf_id: str | None = None


class TokenRecord(TypedDict):
    """A shared token (hosted API, section 2.3), with the addresses that it opens."""

    token: str
    udf_id: str
    udf_slug: str
    udf_email: str
    enabled: bool
    owning_user_id: str
    owning_execution_environment_id: str
    client_id: str | None
    public_read: bool | None
    access_scope: str | None
    cache: bool
    shared_cache: bool
    expose_errors: bool
    metadata_json: dict[str, Any] | None
    calls_per_day: int | None
    last_updated: str
    tile_url: str
    file_url: str
    map_url: str


class TokenRoutes:
    """Tokens made, listed, changed and deleted by the account that owns their UDF."""

    def __init__(self, registry: Registry, access: Access, addresses: Addresses) -> None:
        self.registry, self.access, self.addresses = registry, access, addresses

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        by_token = f"{BASE}/udf-access-token/by-token/{{token}}"
        return [
            Route(f"{BASE}/udf-access-token/new", self.new_token, methods=["POST"]),
            Route(f"{BASE}/udf-access-token/self", self.list_tokens),
            Route(f"{BASE}/udf-access-token/all", self.list_all_tokens),
            Route(by_token, self.token),
            Route(by_token, self.change_token, methods=["POST"]),
            Route(by_token, self.delete_token, methods=["DELETE"]),
        ]

    @Operation(answer=TokenRecord, fails=("not_found",))
    @takes(NewToken)
    async def new_token(self, request: Request, read: Read[NewToken]) -> Response:
        """A new shared token for a UDF named by id, or by its owner's address and slug."""
        account = await self.access.owner(request.scope)
        wanted = await read()
        _check(wanted.metadata_json)
        stored = await self._udf(account, wanted)
        token = await self.registry.shared_tokens.create_token(stored.id, wanted)
        return JSONResponse(self._token(request, token))

    @Operation(answer=TokenRecord)
    async def token(self, request: Request) -> Response:
        """A token of the account."""
        account = await self.access.owner(request.scope)
        return JSONResponse(self._token(request, await own_token(self.registry, account, request.path_params["token"])))

    @Operation(answer=list[TokenRecord], parameters=PAGE)
    async def list_tokens(self, request: Request) -> Response:
        """A page of the account's tokens; the page behind the last is empty."""
        account = await self.access.owner(request.scope)
        return await self._page(request, account.id)

    @Operation(answer=list[TokenRecord], parameters=PAGE, who="owner")
    async def list_all_tokens(self, request: Request) -> Response:
        """A page of everybody's tokens, for the server's owner."""
        await self.access.server_owner(request.scope)
        return await self._page(request, None)

    @Operation(answer=TokenRecord)
    @takes(TokenOptions)
    async def change_token(self, request: Request, read: Read[TokenOptions]) -> Response:
        """Changes what is not null."""
        account = await self.access.owner(request.scope)
        change = await read()
        _check(change.metadata_json)
        token = await own_token(self.registry, account, request.path_params["token"])
        changed = await self.registry.shared_tokens.update_token(token.token, change)
        return JSONResponse(self._token(request, changed or token))

    @Operation(answer=TokenRecord)
    async def delete_token(self, request: Request) -> Response:
        """Deletes a token and answers with what it was."""
        account = await self.access.owner(request.scope)
        token = await own_token(self.registry, account, request.path_params["token"])
        await self.registry.shared_tokens.delete_token(token.token)
        return JSONResponse(self._token(request, token))

    async def _udf(self, account: Account, wanted: NewToken) -> StoredUdf:
        if wanted.udf_id:
            return await own_udf(self.registry, account, wanted.udf_id)
        stored = await seen_udf(self.registry, account, wanted.udf_email or account.email, wanted.udf_slug or "")
        return authored(stored, account)

    async def _page(self, request: Request, account_id: str | None) -> Response:
        tokens = await self.registry.shared_tokens.tokens(account_id, *page(request))
        return JSONResponse([self._token(request, each) for each in tokens])

    def _token(self, request: Request, token: SharedToken) -> TokenRecord:
        base = self.addresses.base(request.scope)
        return {
            "token": token.token,
            "udf_id": token.udf_id,
            "udf_slug": token.slug,
            "udf_email": token.email,
            "enabled": token.enabled,
            "owning_user_id": token.account_id,
            "owning_execution_environment_id": token.environment_id,
            "client_id": token.client_id,
            "public_read": token.public_read,
            "access_scope": token.access_scope,
            "cache": token.cache,
            "shared_cache": token.shared_cache,
            "expose_errors": token.expose_errors,
            "metadata_json": token.metadata_json,
            "calls_per_day": token.calls_per_day,
            "last_updated": moment(token.updated),
            "tile_url": f"{base}/tiles/{token.token}/{{z}}/{{x}}/{{y}}",
            "file_url": f"{base}/files/{token.token}",
            "map_url": f"{base}/tiles/{token.token}/map",
        }


def _check(metadata: dict[str, Any] | None) -> None:
    if is_deeper(metadata, DEPTH):
        raise InvalidParameterError(f"metadata_json is nested more than {DEPTH} deep.", parameter="metadata_json")
    if len(json.dumps(metadata)) > _METADATA_LIMIT:
        raise InvalidParameterError(f"metadata_json is longer than {_METADATA_LIMIT}.", parameter="metadata_json")
