"""The UDF store (hosted API, section 2.2)."""

import json
from typing import Annotated, Final, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import ConflictError
from tileserver.publication import Publisher
from tileserver.registry import Account, Registry, Sharing, StoredUdf
from tileserver.runlog import RunLog
from tileserver.udfs import Udf
from tileserver.web.access import Access
from tileserver.web.hosted.owned import own_udf, seen_udf, shared_udf, visible_udf
from tileserver.web.hosted.requests import BASE, PAGE, Json, Read, decoded, moment, page, takes
from tileserver.web.operations import Operation, Parameter

_BODY: Final = "`code`, `name` and `headers`, each of which has `module_name` and `source_code`; as JSON"


class NewUdf(msgspec.Struct, kw_only=True):
    """The body of `POST /udf/new` and `/udf/by-id/{id}`."""

    slug: str | None = None
    udf_body: Annotated[Json, msgspec.Meta(description=_BODY)]
    allow_public_read: bool | None = None
    allow_public_list: bool | None = None
    collection_id: str | None = None
    """Who names it makes a new UDF: one of that name is not saved over, as 2.x expects."""


class Header(msgspec.Struct, kw_only=True):
    """A sibling module."""

    module_name: str
    source_code: str = ""


class UdfBody(msgspec.Struct, kw_only=True):
    """What `udf_body` holds, as JSON in a string."""

    code: str
    name: str | None = None
    entrypoint: str | None = None
    """The function's name; needed where the source decorates several, or none."""
    headers: list[Header] = []

    @property
    def modules(self) -> dict[str, str]:
        """The siblings' sources by name."""
        return {each.module_name: each.source_code for each in self.headers}


class UdfRecord(TypedDict):
    """A UDF (hosted API, section 2.2)."""

    id: str
    slug: str
    udf_body: Json
    udf_type: str
    kind: str | None
    allow_public_read: bool
    allow_public_list: bool
    owning_user: str
    owning_user_email: str
    collection_id: str
    collection_name: str
    last_updated: str


_LIST: Final = Operation(
    answer=list[UdfRecord], parameters=(*PAGE, Parameter("udf_type", str, "`udf`; of `app` there are none"))
)
_PUBLISHING: Final = ("conflict", "not_publishable", "busy")


class UdfRoutes:
    """UDFs saved, read, listed and deleted, with and without `/by-collection/{c}`."""

    def __init__(self, registry: Registry, publisher: Publisher, runs: RunLog, access: Access) -> None:
        self.registry, self.publisher, self.runs, self.access = registry, publisher, runs, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        by_slug = [
            Route(f"{BASE}/udf/{owner}{collection}/by-slug/{{slug}}", found)
            for owner, found in (
                ("by-user-email/{who}", self.udf_by_slug),
                ("by-user-handle/{who}", self.udf_by_slug),
                ("public", self.public_udf),
                ("exec-env/self", self.team_udf),
            )
            for collection in ("", "/by-collection/{collection}")
        ]
        return [
            Route(f"{BASE}/udf/new", self.new_udf, methods=["POST"]),
            Route(f"{BASE}/udf/by-id/{{id}}", self.udf_by_id),
            Route(f"{BASE}/udf/by-id/{{id}}", self.change_udf, methods=["POST"]),
            Route(f"{BASE}/udf/by-id/{{id}}", self.delete_udf, methods=["DELETE"]),
            Route(f"{BASE}/udf/public", self.list_public),
            Route(f"{BASE}/udf/shared/by-token/{{token}}", self.udf_by_token),
            Route(f"{BASE}/udf/self", self.list_udfs),
            Route(f"{BASE}/udf/exec-env/self", self.list_team),
            *by_slug,
        ]

    @Operation(answer=UdfRecord, fails=_PUBLISHING)
    @takes(NewUdf)
    async def new_udf(self, request: Request, read: Read[NewUdf]) -> Response:
        """Publishes the posted source under its slug."""
        account = await self.access.owner(request.scope)
        posted = await read()
        return JSONResponse(_udf(await self._publish(account, posted, None)))

    @Operation(answer=UdfRecord, fails=_PUBLISHING)
    @takes(NewUdf)
    async def change_udf(self, request: Request, read: Read[NewUdf]) -> Response:
        """Publishes the posted source as the UDF's next version, under another name where it says so."""
        account = await self.access.owner(request.scope)
        stored = await own_udf(self.registry, account, request.path_params["id"])
        return JSONResponse(_udf(await self._publish(account, await read(), stored)))

    @Operation(answer=UdfRecord)
    async def udf_by_id(self, request: Request) -> Response:
        """A UDF that the account may see."""
        account = await self.access.owner(request.scope)
        return JSONResponse(_udf(await visible_udf(self.registry, account, request.path_params["id"])))

    @Operation(answer=UdfRecord)
    async def udf_by_slug(self, request: Request) -> Response:
        """A UDF by name; `who` is an e-mail address or a handle, `team` or `public`."""
        return await self._by_slug(request, request.path_params["who"])

    @Operation(answer=UdfRecord)
    async def team_udf(self, request: Request) -> Response:
        """A UDF of the account or its team by name."""
        return await self._by_slug(request, "team")

    @Operation(answer=UdfRecord)
    async def public_udf(self, request: Request) -> Response:
        """A public UDF by name; of several, the oldest."""
        return await self._by_slug(request, "public")

    async def _by_slug(self, request: Request, who: str) -> Response:
        account = await self.access.owner(request.scope)
        return JSONResponse(_udf(await seen_udf(self.registry, account, who, request.path_params["slug"])))

    @Operation(answer=UdfRecord)
    async def udf_by_token(self, request: Request) -> Response:
        """The UDF that a token opens, if the account may read it."""
        account = await self.access.owner(request.scope)
        return JSONResponse(_udf(await shared_udf(self.registry, account, request.path_params["token"])))

    @_LIST
    async def list_udfs(self, request: Request) -> Response:
        """A page of the account's UDFs; the page behind the last is empty."""
        account = await self.access.owner(request.scope)
        return _listed(request, await self.registry.publications.udfs(account.id, *page(request)))

    @_LIST
    async def list_team(self, request: Request) -> Response:
        """The same of the account's team."""
        account = await self.access.owner(request.scope)
        return _listed(request, await self.registry.publications.team_udfs(account.id, *page(request)))

    @_LIST
    async def list_public(self, request: Request) -> Response:
        """The same of those that everybody finds."""
        await self.access.owner(request.scope)
        return _listed(request, await self.registry.publications.public_udfs(*page(request)))

    @Operation(answer=UdfRecord, fails=("conflict",))
    async def delete_udf(self, request: Request) -> Response:
        """Deletes a UDF that came through the API, with its tokens and what is known of its runs."""
        account = await self.access.owner(request.scope)
        stored = await own_udf(self.registry, account, request.path_params["id"])
        _refuse_file(stored)
        await self.registry.publications.delete_udf(stored.id)
        await self.runs.forget(stored.id)
        return JSONResponse(_udf(stored))

    async def _publish(self, account: Account, posted: NewUdf, stored: StoredUdf | None) -> StoredUdf:
        source = decoded(posted.udf_body.encode(), UdfBody)
        name = posted.slug or (stored.name if stored else source.name) or "udf"
        taken = await self.registry.publications.udf_by_name(account.id, name)
        for each in filter(None, (stored, taken)):
            _refuse_file(each)
        known = stored.id if stored else ""
        if taken and taken.id != known and (stored or posted.collection_id):
            raise ConflictError(f"There is a UDF '{name}' already")
        sharing = Sharing(allow_public_read=posted.allow_public_read, allow_public_list=posted.allow_public_list)
        published = await self.publisher.publish_source(
            account.id, name, source.code, source.modules, sharing, entry=source.entrypoint or "", renamed=known
        )
        return await own_udf(self.registry, account, published.udf_id)


def _refuse_file(stored: StoredUdf) -> None:
    if stored.source == "file":
        raise ConflictError(f"'{stored.name}' is served from a file; edit the file instead.")


def _listed(request: Request, udfs: list[StoredUdf]) -> Response:
    """A page of a list; there are no apps, which the SDK may ask for."""
    return JSONResponse([] if request.query_params.get("udf_type") == "app" else [_udf(each) for each in udfs])


def _udf(stored: StoredUdf) -> UdfRecord:
    entry = msgspec.json.decode(stored.record, type=Udf).entry
    metadata = {"fused:id": stored.id, "fused:slug": stored.name}
    return {
        "id": stored.id,
        "slug": stored.name,
        "udf_body": udf_body(stored.name, stored.code, stored.headers, entry, metadata),
        "udf_type": "auto",
        "kind": stored.kind,
        "allow_public_read": stored.allow_public_read,
        "allow_public_list": stored.allow_public_list,
        "owning_user": stored.account_id,
        "owning_user_email": stored.email,
        "collection_id": stored.account_id,
        "collection_name": "default",
        "last_updated": moment(stored.updated),
    }


def udf_body(name: str, code: str, headers: dict[str, str], entry: str, metadata: dict[str, str]) -> str:
    """What a record holds of a UDF, as JSON."""
    modules = [
        {"module_name": module, "source_code": text, "source_file": f"{module}.py"} for module, text in headers.items()
    ]
    content = {
        "name": name,
        "type": "geopandas_v2",
        "code": code,
        "headers": modules,
        "metadata": metadata,
        "entrypoint": entry,
        "parameters": {},
        "cache_max_age": None,
    }
    return json.dumps(content)
