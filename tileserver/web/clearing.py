"""Clearing what is cached of a UDF: everything, or what was made with some parameters, of some zooms, in a place."""

from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tileserver.bans import Ban, Ring, of_bounds, of_polygon
from tileserver.errors import InvalidParameterError
from tileserver.parameters import as_text
from tileserver.pipeline import Pipeline
from tileserver.registry import StoredUdf
from tileserver.tilecache import arguments_key
from tileserver.tiles import MAX_ZOOM, Bounds
from tileserver.udfs import Udf, bind, own_arguments, settable
from tileserver.web.access import Access
from tileserver.web.hosted.owned import named_udf
from tileserver.web.hosted.requests import Read, takes
from tileserver.web.operations import Operation

_WORLD: Final = Bounds(-180.0, -90.0, 180.0, 90.0)
_FILE: Final = -1
"""The zoom of files."""
_MOST: Final = 2000
"""Places of an area's rings: a look-up of an old tile goes through all of them."""
Zoom = Annotated[int, msgspec.Meta(ge=0, le=MAX_ZOOM)]
Place = Annotated[list[float], msgspec.Meta(min_length=2, max_length=3)]
Rings = list[list[Place]]


class Polygon(msgspec.Struct, kw_only=True, tag_field="type"):
    """A GeoJSON polygon (RFC 7946)."""

    coordinates: Rings


class MultiPolygon(msgspec.Struct, kw_only=True, tag_field="type"):
    """Several."""

    coordinates: list[Rings]


class Clearing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/udf/{name}/clear`: an empty one clears everything, files too."""

    zooms: Annotated[list[Zoom], msgspec.Meta(min_length=2, max_length=2)] | None = None
    """The first and the last; without them, all."""
    bbox: Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)] | None = None
    """West, south, east and north in degrees; west above east means across the 180th meridian."""
    area: Polygon | MultiPolygon | None = None
    """In degrees, instead of a box."""
    parameters: dict[str, Any] | None = None
    """Only what was made with these, in whatever format; those that are not named have their defaults."""

    @property
    def of_everywhere(self) -> bool:
        """Whether files are meant, too."""
        return self.zooms is None and self.bbox is None and self.area is None

    def bans(self) -> list[Ban]:
        """Of an epoch to come, whatever the parameters; raises ValueError where a place is none."""
        first, last = self.zooms or (_FILE if self.of_everywhere else 0, MAX_ZOOM)
        if first > last:
            raise ValueError(f"zooms are the first and the last, and not {first} and {last}")
        zooms = range(first, last + 1)
        if self.area is None:
            return of_bounds(Bounds(*self.bbox) if self.bbox else _WORLD, zooms)
        if self.bbox:
            raise ValueError("it takes a bbox or an area, not both")
        polygons = self.area.coordinates if isinstance(self.area, MultiPolygon) else [self.area.coordinates]
        if not polygons:
            raise ValueError("an area has one polygon or more")
        if sum(len(ring) for rings in polygons for ring in rings) > _MOST:
            raise ValueError(f"the area has more than {_MOST:,} corners; simplify it")
        return [ban for rings in polygons for ban in of_polygon(list(map(_ring, rings)), zooms)]


class ClearingRoutes:
    """For the UDF's owner."""

    def __init__(self, pipeline: Pipeline, access: Access) -> None:
        self._registry, self._grants, self._access = pipeline.registry, pipeline.grants, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route("/api/v1/udf/{name}/clear", self.clear, methods=["POST"])]

    @Operation(status=204)
    @takes(Clearing)
    async def clear(self, request: Request, read: Read[Clearing]) -> Response:
        """Makes what is cached of a UDF stale at once: all, or of some parameters or zooms, in a box or an area."""
        account = await self._access.owner(request.scope)
        stored = await named_udf(self._registry, account, request.path_params["name"])
        clearing = await read()
        if clearing.of_everywhere and clearing.parameters is None:
            await self._registry.clearings.everything(stored.id)
        else:
            await self._registry.clearings.areas(stored.id, await self._bans(stored, clearing))
        return Response(status_code=204)

    async def _bans(self, stored: StoredUdf, clearing: Clearing) -> list[Ban]:
        try:
            bans = clearing.bans()
        except ValueError as error:
            raise InvalidParameterError(f"{error}.") from None
        if clearing.parameters is None:
            return bans
        udf = self._grants.udf(await self._grants.named(stored.name, stored.account_id))
        arguments = _arguments(udf, clearing.parameters)
        return [msgspec.structs.replace(ban, arguments=arguments) for ban in bans]


def _arguments(udf: Udf, parameters: dict[str, Any]) -> str:
    """The digest of what a query of these parameters sets; raises InvalidParameterError."""
    names = [each.name for each in settable(udf)]
    for each in parameters:
        if each not in names and not udf.takes_all:
            raise InvalidParameterError(f"'{udf.name}' has no parameter '{each}'; it has {', '.join(names) or 'none'}.")
    query = {name: [as_text(value)] for name, value in parameters.items() if value is not None}
    return arguments_key(own_arguments(udf, bind(udf, query, tiled=True)))


def _ring(places: list[Place]) -> Ring:
    """Without the first place once more at the end, and without heights."""
    ring = [(place[0], place[1]) for place in places]
    return tuple(ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring)
