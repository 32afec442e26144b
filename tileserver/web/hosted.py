"""The hosted API's management routes (hosted API, sections 2.1 to 2.3), as the real SDK calls them."""

import json
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError
from tileserver.publication import Publisher
from tileserver.registry import Account, Registry, SharedToken, StoredUdf
from tileserver.udfs import Udf
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses

T = TypeVar("T")

BASE: Final = "/server/v1"
SOURCE_LIMIT: Final = 32 * 2**20
"""Bytes of a posted source."""
_DEFAULT_PAGE: Final = 25


class NewUdf(msgspec.Struct, kw_only=True):
    """The body of `POST /udf/new` and `/udf/by-id/{id}`."""

    slug: str | None = None
    udf_body: str


class Header(msgspec.Struct, kw_only=True):
    """A sibling module."""

    module_name: str
    source_code: str = ""


class UdfBody(msgspec.Struct, kw_only=True):
    """What `udf_body` holds, as JSON in a string."""

    code: str
    name: str | None = None
    headers: list[Header] = []


class NewToken(msgspec.Struct, kw_only=True):
    """The body of `POST /udf-access-token/new`; one of the three ways to name the UDF is set."""

    udf_email: str | None = None
    udf_slug: str | None = None
    udf_id: str | None = None
    client_id: str | None = None
    cache: bool | None = None
    metadata_json: dict[str, Any] | None = None
    enabled: bool | None = None


class TokenChange(msgspec.Struct, kw_only=True):
    """The body of `POST /udf-access-token/by-token/{token}`; null leaves as it is."""

    client_id: str | None = None
    cache: bool | None = None
    metadata_json: dict[str, Any] | None = None
    enabled: bool | None = None


class HostedRoutes:
    """Endpoints for an account, by private token or session."""

    def __init__(self, registry: Registry, publisher: Publisher, access: Access, addresses: Addresses) -> None:
        self.registry, self.publisher, self.access, self.addresses = registry, publisher, access, addresses

    def routes(self) -> list[BaseRoute]:
        """Every route, with and without `/by-collection/{c}`."""
        get, post, delete = ["GET"], ["POST"], ["DELETE"]
        by_slug = [
            Route(f"{BASE}/udf/{owner}{collection}/by-slug/{{slug}}", self.udf_by_slug, methods=get)
            for owner in ("by-user-email/{who}", "by-user-handle/{who}", "public", "exec-env/self")
            for collection in ("", "/by-collection/{collection}")
        ]
        lists = [Route(f"{BASE}/udf/{whose}", self.list_udfs, methods=get) for whose in ("self", "exec-env/self")]
        return [
            Route(f"{BASE}/health", self.health, methods=get),
            Route(f"{BASE}/user/self", self.whoami, methods=get),
            Route(f"{BASE}/realtime-instance/available", self.instances, methods=get),
            Route(f"{BASE}/execution-env/self", self.environment, methods=get),
            Route(f"{BASE}/internal/dependency-whitelist", self.dependencies, methods=get),
            Route(f"{BASE}/collection/by-name/{{name}}", self.collection, methods=get),
            Route(f"{BASE}/udf/new", self.new_udf, methods=post),
            Route(f"{BASE}/udf/by-id/{{id}}", self.udf_by_id, methods=get),
            Route(f"{BASE}/udf/by-id/{{id}}", self.change_udf, methods=post),
            Route(f"{BASE}/udf/by-id/{{id}}", self.delete_udf, methods=delete),
            Route(f"{BASE}/udf/public", self.list_nothing, methods=get),
            Route(f"{BASE}/udf/shared/by-token/{{token}}", self.udf_by_token, methods=get),
            *lists,
            *by_slug,
            Route(f"{BASE}/udf-access-token/new", self.new_token, methods=post),
            Route(f"{BASE}/udf-access-token/self", self.list_tokens, methods=get),
            Route(f"{BASE}/udf-access-token/by-token/{{token}}", self.token, methods=get),
            Route(f"{BASE}/udf-access-token/by-token/{{token}}", self.change_token, methods=post),
            Route(f"{BASE}/udf-access-token/by-token/{{token}}", self.delete_token, methods=delete),
        ]

    # Account and discovery

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

    # UDFs

    async def new_udf(self, request: Request) -> Response:
        """Publishes the posted source under its slug."""
        account = await self.access.owner(request.scope)
        body = await _body(request, NewUdf)
        return JSONResponse(_udf(await self._publish(account, body, None), account))

    async def change_udf(self, request: Request) -> Response:
        """Publishes the posted source as the UDF's next version."""
        account = await self.access.owner(request.scope)
        stored = await self._own(account, request.path_params["id"])
        return JSONResponse(_udf(await self._publish(account, await _body(request, NewUdf), stored), account))

    async def udf_by_id(self, request: Request) -> Response:
        """A UDF of the account."""
        account = await self.access.owner(request.scope)
        return JSONResponse(_udf(await self._own(account, request.path_params["id"]), account))

    async def udf_by_slug(self, request: Request) -> Response:
        """A UDF of the account by name; `who` is its own e-mail address or handle."""
        account = await self.access.owner(request.scope)
        who = request.path_params.get("who", account.email)
        if who not in (account.email, account.handle, "team"):
            raise NotFoundError("UDF not found")
        return JSONResponse(_udf(await self._named(account, request.path_params["slug"]), account))

    async def udf_by_token(self, request: Request) -> Response:
        """The UDF that one of the account's tokens opens."""
        account = await self.access.owner(request.scope)
        token = await self._own_token(account, request.path_params["token"])
        return JSONResponse(_udf(await self._own(account, token.udf_id), account))

    async def list_udfs(self, request: Request) -> Response:
        """A page of the account's UDFs; the page behind the last is empty."""
        account = await self.access.owner(request.scope)
        return JSONResponse(
            [_udf(each, account) for each in await self.registry.publications.udfs(account.id, *_page(request))]
        )

    async def list_nothing(self, request: Request) -> Response:
        """No UDF is public: an empty page."""
        await self.access.owner(request.scope)
        return JSONResponse([])

    async def delete_udf(self, request: Request) -> Response:
        """Deletes a UDF that came through the API, with its tokens."""
        account = await self.access.owner(request.scope)
        stored = await self._own(account, request.path_params["id"])
        _refuse_file(stored)
        await self.registry.publications.delete_udf(stored.id)
        return JSONResponse(_udf(stored, account))

    async def _publish(self, account: Account, body: NewUdf, stored: StoredUdf | None) -> StoredUdf:
        source = _decoded(body.udf_body.encode(), UdfBody)
        name = body.slug or (stored.name if stored else source.name) or "udf"
        taken = stored or await self.registry.publications.udf_by_name(account.id, name)
        if taken:
            _refuse_file(taken)
        headers = {each.module_name: each.source_code for each in source.headers}
        published = await self.publisher.publish_source(account.id, name, source.code, headers)
        return await self._own(account, published.udf_id)

    async def _own(self, account: Account, udf_id: str) -> StoredUdf:
        stored = await self.registry.publications.udf(udf_id)
        if stored is None or stored.account_id != account.id:
            raise NotFoundError("UDF not found")
        return stored

    async def _named(self, account: Account, slug: str) -> StoredUdf:
        stored = await self.registry.publications.udf_by_name(account.id, slug)
        if stored is None:
            raise NotFoundError("UDF not found")
        return stored

    # Shared tokens

    async def new_token(self, request: Request) -> Response:
        """A new shared token for a UDF named by id, or by its owner's address and slug."""
        account = await self.access.owner(request.scope)
        body = await _body(request, NewToken)
        stored = (
            await self._own(account, body.udf_id) if body.udf_id else await self._named(account, body.udf_slug or "")
        )
        token = await self.registry.shared_tokens.create_token(
            stored.id,
            client_id=body.client_id,
            cache=body.cache is not False,
            metadata_json=body.metadata_json,
            enabled=body.enabled is not False,
        )
        return JSONResponse(self._token(request, token))

    async def token(self, request: Request) -> Response:
        """A token of the account."""
        account = await self.access.owner(request.scope)
        return JSONResponse(self._token(request, await self._own_token(account, request.path_params["token"])))

    async def list_tokens(self, request: Request) -> Response:
        """A page of the account's tokens; the page behind the last is empty."""
        account = await self.access.owner(request.scope)
        return JSONResponse(
            [
                self._token(request, each)
                for each in await self.registry.shared_tokens.tokens(account.id, *_page(request))
            ]
        )

    async def change_token(self, request: Request) -> Response:
        """Changes what is not null."""
        account = await self.access.owner(request.scope)
        body = await _body(request, TokenChange)
        token = await self._own_token(account, request.path_params["token"])
        changed = await self.registry.shared_tokens.update_token(token.token, **msgspec.structs.asdict(body))
        return JSONResponse(self._token(request, changed or token))

    async def delete_token(self, request: Request) -> Response:
        """Deletes a token and answers with what it was."""
        account = await self.access.owner(request.scope)
        token = await self._own_token(account, request.path_params["token"])
        await self.registry.shared_tokens.delete_token(token.token)
        return JSONResponse(self._token(request, token))

    async def _own_token(self, account: Account, text: str) -> SharedToken:
        token = await self.registry.shared_tokens.token(text)
        if token is None or token.account_id != account.id:
            raise NotFoundError("Token not found")
        return token

    def _token(self, request: Request, token: SharedToken) -> dict[str, Any]:
        base = self.addresses.base(request.scope)
        return {
            "token": token.token,
            "udf_id": token.udf_id,
            "udf_slug": token.slug,
            "udf_email": token.email,
            "enabled": token.enabled,
            "owning_user_id": token.account_id,
            "owning_execution_environment_id": token.account_id,
            "client_id": token.client_id,
            "public_read": False,
            "access_scope": None,
            "cache": token.cache,
            "metadata_json": token.metadata_json,
            "last_updated": _moment(token.updated),
            "tile_url": f"{base}/tiles/{token.token}/{{z}}/{{x}}/{{y}}",
            "file_url": f"{base}/files/{token.token}",
            "map_url": f"{base}/tiles/{token.token}/map",
        }


def _refuse_file(stored: StoredUdf) -> None:
    if stored.source == "file":
        raise ConflictError(f"'{stored.name}' is served from a file; edit the file instead.")


def _udf(stored: StoredUdf, account: Account) -> dict[str, Any]:
    """A UDF record (hosted API, section 2.2)."""
    headers = [
        {"module_name": name, "source_code": text, "source_file": f"{name}.py"} for name, text in stored.headers.items()
    ]
    body = {
        "name": stored.name,
        "type": "geopandas_v2",
        "code": stored.code,
        "headers": headers,
        "metadata": {"fused:id": stored.id, "fused:slug": stored.name},
        "entrypoint": msgspec.json.decode(stored.record, type=Udf).entry,
        "parameters": {},
        "cache_max_age": None,
    }
    return {
        "id": stored.id,
        "slug": stored.name,
        "udf_body": json.dumps(body),
        "udf_type": "auto",
        "kind": stored.kind,
        "owning_user": account.id,
        "collection_id": account.id,
        "collection_name": "default",
        "last_updated": _moment(stored.updated),
    }


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()


def _page(request: Request) -> tuple[int, int]:
    def number(name: str, default: int) -> int:
        text = request.query_params.get(name, "")
        return min(int(text), 10_000) if text.isascii() and text.isdigit() and len(text) < 9 else default

    return number("skip", 0), number("limit", _DEFAULT_PAGE)


async def _body(request: Request, kind: type[T]) -> T:
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > SOURCE_LIMIT:
            raise InvalidParameterError(f"The body is larger than {SOURCE_LIMIT} bytes.")
    return _decoded(bytes(raw), kind)


def _decoded(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameterError(f"The body cannot be read: {error}") from None
