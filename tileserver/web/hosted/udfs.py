"""The UDF store (hosted API, section 2.2)."""

import json
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import ConflictError, NotFoundError
from tileserver.publication import Publisher
from tileserver.registry import Account, Registry, StoredUdf
from tileserver.runlog import RunLog
from tileserver.udfs import Udf
from tileserver.web.access import Access
from tileserver.web.hosted.owned import named_udf, own_token, own_udf
from tileserver.web.hosted.requests import BASE, body, decoded, moment, page


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

    @property
    def modules(self) -> dict[str, str]:
        """The siblings' sources by name."""
        return {each.module_name: each.source_code for each in self.headers}


class UdfRoutes:
    """UDFs saved, read, listed and deleted, with and without `/by-collection/{c}`."""

    def __init__(self, registry: Registry, publisher: Publisher, runs: RunLog, access: Access) -> None:
        self.registry, self.publisher, self.runs, self.access = registry, publisher, runs, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        by_slug = [
            Route(f"{BASE}/udf/{owner}{collection}/by-slug/{{slug}}", self.udf_by_slug)
            for owner in ("by-user-email/{who}", "by-user-handle/{who}", "public", "exec-env/self")
            for collection in ("", "/by-collection/{collection}")
        ]
        return [
            Route(f"{BASE}/udf/new", self.new_udf, methods=["POST"]),
            Route(f"{BASE}/udf/by-id/{{id}}", self.udf_by_id),
            Route(f"{BASE}/udf/by-id/{{id}}", self.change_udf, methods=["POST"]),
            Route(f"{BASE}/udf/by-id/{{id}}", self.delete_udf, methods=["DELETE"]),
            Route(f"{BASE}/udf/public", self.list_nothing),
            Route(f"{BASE}/udf/shared/by-token/{{token}}", self.udf_by_token),
            Route(f"{BASE}/udf/self", self.list_udfs),
            Route(f"{BASE}/udf/exec-env/self", self.list_udfs),
            *by_slug,
        ]

    async def new_udf(self, request: Request) -> Response:
        """Publishes the posted source under its slug."""
        account = await self.access.owner(request.scope)
        posted = await body(request, NewUdf)
        return JSONResponse(_udf(await self._publish(account, posted, None), account))

    async def change_udf(self, request: Request) -> Response:
        """Publishes the posted source as the UDF's next version."""
        account = await self.access.owner(request.scope)
        stored = await own_udf(self.registry, account, request.path_params["id"])
        return JSONResponse(_udf(await self._publish(account, await body(request, NewUdf), stored), account))

    async def udf_by_id(self, request: Request) -> Response:
        """A UDF of the account."""
        account = await self.access.owner(request.scope)
        return JSONResponse(_udf(await own_udf(self.registry, account, request.path_params["id"]), account))

    async def udf_by_slug(self, request: Request) -> Response:
        """A UDF of the account by name; `who` is its own e-mail address or handle."""
        account = await self.access.owner(request.scope)
        who = request.path_params.get("who", account.email)
        if who not in (account.email, account.handle, "team"):
            raise NotFoundError("UDF not found")
        return JSONResponse(_udf(await named_udf(self.registry, account, request.path_params["slug"]), account))

    async def udf_by_token(self, request: Request) -> Response:
        """The UDF that one of the account's tokens opens."""
        account = await self.access.owner(request.scope)
        token = await own_token(self.registry, account, request.path_params["token"])
        return JSONResponse(_udf(await own_udf(self.registry, account, token.udf_id), account))

    async def list_udfs(self, request: Request) -> Response:
        """A page of the account's UDFs; the page behind the last is empty."""
        account = await self.access.owner(request.scope)
        stored = await self.registry.publications.udfs(account.id, *page(request))
        return JSONResponse([_udf(each, account) for each in stored])

    async def list_nothing(self, request: Request) -> Response:
        """No UDF is public: an empty page."""
        await self.access.owner(request.scope)
        return JSONResponse([])

    async def delete_udf(self, request: Request) -> Response:
        """Deletes a UDF that came through the API, with its tokens and what is known of its runs."""
        account = await self.access.owner(request.scope)
        stored = await own_udf(self.registry, account, request.path_params["id"])
        _refuse_file(stored)
        await self.registry.publications.delete_udf(stored.id)
        await self.runs.forget(stored.id)
        return JSONResponse(_udf(stored, account))

    async def _publish(self, account: Account, posted: NewUdf, stored: StoredUdf | None) -> StoredUdf:
        source = decoded(posted.udf_body.encode(), UdfBody)
        name = stored.name if stored else posted.slug or source.name or "udf"
        taken = stored or await self.registry.publications.udf_by_name(account.id, name)
        if taken:
            _refuse_file(taken)
        published = await self.publisher.publish_source(account.id, name, source.code, source.modules)
        return await own_udf(self.registry, account, published.udf_id)


def _refuse_file(stored: StoredUdf) -> None:
    if stored.source == "file":
        raise ConflictError(f"'{stored.name}' is served from a file; edit the file instead.")


def _udf(stored: StoredUdf, account: Account) -> dict[str, Any]:
    """A UDF record (hosted API, section 2.2)."""
    entry = msgspec.json.decode(stored.record, type=Udf).entry
    metadata = {"fused:id": stored.id, "fused:slug": stored.name}
    return {
        "id": stored.id,
        "slug": stored.name,
        "udf_body": udf_body(stored.name, stored.code, stored.headers, entry, metadata),
        "udf_type": "auto",
        "kind": stored.kind,
        "owning_user": account.id,
        "collection_id": account.id,
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
