"""What map clients read about a layer: TileJSON, Kepler's metadata, and the map page."""

from typing import Any, Final, NotRequired, TypedDict
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from tileserver import query as queries
from tileserver.formats import FORMATS, Kind
from tileserver.layers import version
from tileserver.pipeline import Pipeline
from tileserver.registry import Grant
from tileserver.tiles import MAX_LATITUDE
from tileserver.udfs import Parameter, Udf, is_reserved, settable
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.answers import CORS
from tileserver.web.legend import legend
from tileserver.web.operations import HTML, Operation
from tileserver.web.pages import MAP_CSP, MapPage, map_page

WORLD: Final = (-180.0, -MAX_LATITUDE, 180.0, MAX_LATITUDE)
_EXTENSIONS: Final = {Kind.RASTER: ".png", Kind.VECTOR: ".mvt"}
_HEADERS: Final = {name.decode(): value.decode() for name, value in CORS} | {"cache-control": "no-cache"}


class VectorLayer(TypedDict):
    """A layer inside vector tiles, with the types of its fields."""

    id: str
    fields: dict[str, str]
    minzoom: int
    maxzoom: int


class TileJson(TypedDict):
    """TileJSON 3.0.0; beside it `tilestats`, which Kepler.gl reads, and what colours and queries of the layer mean."""

    tilejson: str
    name: str
    description: str
    version: str
    attribution: str
    scheme: str
    tiles: list[str]
    minzoom: int
    maxzoom: int
    bounds: list[float]
    center: list[float]
    vector_layers: NotRequired[list[VectorLayer]]
    tilestats: NotRequired[dict[str, Any]]
    legend: NotRequired[dict[str, Any]]
    parameters: NotRequired[list[str]]
    """Names of the UDF's own; absent where it takes any."""


class MapRoutes:
    """The siblings of the tile template."""

    def __init__(self, pipeline: Pipeline, access: Access, addresses: Addresses) -> None:
        self.pipeline, self.access, self.addresses = pipeline, access, addresses

    @Operation(answer=TileJson, who="anybody")
    async def tilejson(self, request: Request) -> Response:
        """TileJSON 3.0.0, with `vector_layers`; the query's parameters go into the tile template."""
        grant, udf = await self._read(request)
        return JSONResponse(self._tilejson(request, grant, udf), headers=_HEADERS)

    @Operation(answer=dict[str, Any], who="anybody")
    async def metadata(self, request: Request) -> Response:
        """TileJSON with `tilestats`, from which Kepler.gl takes its attributes and their domains.

        What the token's owner said as `metadata_json` goes before what is known of the UDF (hosted API, section 5).
        """
        grant, udf = await self._read(request)
        document = self._tilejson(request, grant, udf)
        facts = facts_of(grant)
        layers = _layers(udf, facts)
        if all("fields" in each for each in layers.values()):
            document["tilestats"] = _tilestats(layers)
        token = await self.pipeline.registry.shared_tokens.token(request.path_params["token"])
        return JSONResponse({**document, **((token and token.metadata_json) or {})}, headers=_HEADERS)

    @Operation(media=(HTML,), who="anybody")
    async def map(self, request: Request) -> Response:
        """The page with the map; for the UDF's owner, with its runs."""
        grant, udf = await self._read(request)
        account = await self.access.account(request.scope)
        owner = account is not None and account.id == grant.account_id
        page = map_page(self._page(request, grant, udf, owner=owner))
        headers = {"content-security-policy": MAP_CSP, "referrer-policy": "no-referrer", "cache-control": "no-store"}
        return HTMLResponse(page, headers=headers | {"x-content-type-options": "nosniff"})

    async def _read(self, request: Request) -> tuple[Grant, Udf]:
        grant = await self.pipeline.settling.look(request.path_params["token"])
        return grant, self.pipeline.grants.udf(grant)

    def _tilejson(self, request: Request, grant: Grant, udf: Udf) -> TileJson:
        options, (west, south, east, north) = udf.options, bounds_of(udf)
        document: TileJson = {
            "tilejson": "3.0.0",
            "name": udf.name,
            "description": udf.doc,
            "version": "1.0.0",
            "attribution": options.attribution,
            "scheme": "xyz",
            "tiles": [self._template(request, grant)],
            "minzoom": options.minzoom,
            "maxzoom": options.maxzoom,
            "bounds": [west, south, east, north],
            "center": [(west + east) / 2, (south + north) / 2, min(options.minzoom, 22)],
        }
        if not udf.takes_all:
            document["parameters"] = [each.name for each in settable(udf)]
        if grant.kind == Kind.VECTOR:
            document["vector_layers"] = _vector_layers(grant, udf)
        colours = legend(udf, facts_of(grant), queries.parse(request.url.query)) if grant.kind == Kind.RASTER else None
        if colours:
            document["legend"] = colours
        return document

    def _template(self, request: Request, grant: Grant) -> str:
        given = queries.parse(request.url.query)
        kept = [(name, value) for name, values in given.items() for value in values if not is_reserved(name)]
        asked = given.get("format", [""])[-1]
        usual = _EXTENSIONS.get(Kind(grant.kind), "") if grant.kind else ""
        extension = f".{asked}" if asked in FORMATS else usual
        base = f"{self.addresses.base(request.scope)}/tiles/{request.path_params['token']}"
        return f"{base}/{{z}}/{{x}}/{{y}}{extension}?{urlencode([*kept, ('v', version(grant))])}"

    def _page(self, request: Request, grant: Grant, udf: Udf, *, owner: bool) -> MapPage:
        token, base = request.path_params["token"], self.addresses.base(request.scope)
        facts = facts_of(grant)
        return MapPage(
            name=udf.name,
            kind=grant.kind or "",
            doc=udf.doc,
            parameters=list(map(_control, settable(udf))),
            token=token,
            version=version(grant),
            tilejson_url=f"{base}/tiles/{token}/tilejson.json",
            tile_url=self._template(request, grant).partition("?")[0],
            file_url=f"{base}/files/{token}",
            takes_tile=any(each.injected and each.required for each in udf.parameters),
            static="../../static",
            minzoom=udf.options.minzoom,
            maxzoom=udf.options.maxzoom,
            bounds=list(bounds_of(udf)),
            attribution=udf.options.attribution,
            layers=list(_layers(udf, facts)),
            range_note=_range_note(udf, facts),
            logs_url=f"../../api/v1/udf/{quote(grant.name, safe='')}/logs" if owner else None,
        )


def facts_of(grant: Grant) -> dict[str, Any]:
    """What a probe found out about the version, or nothing yet."""
    return msgspec.json.decode(grant.facts) if grant.facts else {}


def bounds_of(udf: Udf) -> tuple[float, float, float, float]:
    """West below east, inside the Web Mercator square: MapLibre accepts nothing else (peers.md, R7)."""
    west, south, east, north = udf.options.bounds or WORLD
    if west >= east:
        west, east = -180.0, 180.0
    return max(west, -180.0), max(south, -MAX_LATITUDE), min(east, 180.0), min(north, MAX_LATITUDE)


def _layers(udf: Udf, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is known of each layer of the vector tiles, by its name."""
    return facts.get("layers") or {udf.options.layer: facts}


def _vector_layers(grant: Grant, udf: Udf) -> list[VectorLayer]:
    low, high = udf.options.minzoom, udf.options.maxzoom
    return [
        {"id": name, "fields": own.get("fields", {}), "minzoom": low, "maxzoom": high}
        for name, own in _layers(udf, facts_of(grant)).items()
    ]


def _tilestats(layers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"layerCount": len(layers), "layers": [_layer_stats(name, facts) for name, facts in layers.items()]}


def _layer_stats(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    stats = facts.get("stats", {})
    attributes = [
        {"attribute": field, "type": kind.lower()} | _plain(stats.get(field, {}))
        for field, kind in facts["fields"].items()
    ]
    return {
        "layer": name,
        "count": facts.get("count", 0),
        "geometry": (facts.get("geometry") or ["Polygon"])[0].removeprefix("Multi"),
        "attributeCount": len(attributes),
        "attributes": attributes,
    }


def _plain(stats: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stats.items() if name != "type"}


def _range_note(udf: Udf, facts: dict[str, Any]) -> str | None:
    kind, map_of_values = facts.get("dtype"), (udf.options.colormap or "").startswith(("{", "[["))
    if kind in (None, "uint8", "bool") or udf.options.rescale or map_of_values:
        return None
    shown = "0 to 1" if str(kind).startswith("float") else f"the whole range of {kind}"
    return f"The values ({kind}) are shown over {shown}. Set rescale=low,high for more contrast."


def _control(parameter: Parameter) -> dict[str, Any]:
    annotation = parameter.annotation
    return {
        "name": parameter.name,
        "type": annotation.name,
        "default": parameter.default,
        "choices": list(annotation.choices),
        "optional": annotation.optional,
        "required": parameter.required,
    }
