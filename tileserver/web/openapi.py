"""The OpenAPI description of the public routes."""

from functools import lru_cache
from typing import Any, Final

import msgspec

from tileserver import __version__
from tileserver.errors import BY_CODE, TileserverError
from tileserver.formats import ALL
from tileserver.runlog import KEPT, Run
from tileserver.web.answers import STATUS

_TOKEN: Final = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
_GENERAL: Final = (
    ("format", "string", "output format, where the path has no extension"),
    ("rescale", "string", "values shown as 0 and 255: low,high, or a pair for each band"),
    ("colormap", "string", "colour map by name, or JSON of value to colour"),
    ("bands", "string", "bands to show, from 1, between commas"),
    ("quality", "integer", "of JPEG and WebP, 1 to 100"),
    ("tile_size", "integer", "pixels of the tile's side before the scale"),
    ("empty", "string", "404 to answer empty tiles with that status"),
    ("cache_max_age", "string", "seconds, or 15m, 12h, 1d; 0 stores nothing"),
)
_LOGS: Final[tuple[tuple[str, dict[str, int], str], ...]] = (
    ("limit", {"maximum": KEPT, "default": 50}, "how many runs"),
    ("after", {}, "the id behind which they are; the newest without it"),
    ("wait", {"maximum": 25, "default": 0}, "seconds to wait for the first one behind `after`"),
)


@lru_cache(1)
def openapi() -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "tileserver", "version": __version__, "license": {"name": "MIT"}},
        "paths": _token_paths() | _owner_paths() | _other_paths(),
        "components": {
            "schemas": {"Error": _error_schema(), "Run": _run_schema()},
            "securitySchemes": {"private_token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _token_paths() -> dict[str, Any]:
    address = [
        _TOKEN,
        *({"name": name, "in": "path", "required": True, "schema": {"type": "integer"}} for name in "zxy"),
    ]
    extension = {"name": "ext", "in": "path", "required": True, "schema": {"enum": [each.name for each in ALL]}}
    siblings = {"tilejson.json": "TileJSON 3.0.0", "metadata.json": "TileJSON with tilestats", "map": "the map page"}
    return {
        "/tiles/{token}/{z}/{x}/{y}": _get("A tile", address, _bodies()),
        "/tiles/{token}/{z}/{x}/{y}.{ext}": _get("A tile in a format", [*address, extension], _bodies()),
        "/files/{token}": _get("The function run once, without a tile", [_TOKEN], _bodies()),
        "/files/{token}.{ext}": _get("The same in a format", [_TOKEN, extension], _bodies()),
    } | {f"/tiles/{{token}}/{name}": _get(text, [_TOKEN], {}) for name, text in siblings.items()}


def _owner_paths() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    numbers = [
        {"name": name, "in": "query", "schema": {"type": "integer", "minimum": 0, **bounds}, "description": text}
        for name, bounds, text in _LOGS
    ]
    runs = {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}}}
    responses = {"200": {"description": "OK", "content": runs}}
    responses |= {str(STATUS[code]): _failure(BY_CODE[code]) for code in ("unauthorised", "not_found")}
    operation = {
        "summary": "What a function's runs printed, raised and cost, the newest last",
        "security": [{"private_token": []}],
        "parameters": [name, *numbers],
        "responses": responses,
    }
    return {"/api/v1/udf/{name}/logs": {"get": operation}}


def _other_paths() -> dict[str, Any]:
    return {
        path: _get(text, [], {})
        for path, text in (
            ("/livez", "Is alive"),
            ("/readyz", "Can run functions"),
            ("/metrics", "Counts for Prometheus"),
        )
    }


def _get(summary: str, parameters: list[Any], content: dict[str, Any]) -> dict[str, Any]:
    general = [
        {"name": name, "in": "query", "schema": {"type": kind}, "description": text} for name, kind, text in _GENERAL
    ]
    responses = {"200": {"description": "OK", **({"content": content} if content else {})}}
    if content:
        responses |= {"204": {"description": "Nothing there"}, "304": {"description": "Not modified"}} | _failures()
    return {
        "get": {"summary": summary, "parameters": parameters + (general if content else []), "responses": responses}
    }


def _bodies() -> dict[str, Any]:
    return {each.media_type: {} for each in ALL}


def _failures() -> dict[str, Any]:
    shown = {str(STATUS[code]): kind for code, kind in BY_CODE.items() if code not in ("setup", "conflict")}
    return {status: _failure(kind) for status, kind in shown.items()}


def _failure(kind: type[TileserverError]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": kind.sentence, "content": error}


def _error_schema() -> dict[str, Any]:
    properties = {"code": {"enum": sorted(BY_CODE)}, "detail": {"type": "string"}}
    return {"type": "object", "required": ["code", "detail"], "properties": properties}


def _run_schema() -> dict[str, Any]:
    (_, described) = msgspec.json.schema_components([Run], ref_template="#/components/schemas/{name}")
    schema: dict[str, Any] = described["Run"]
    return schema | {"description": "One run of a function"}
