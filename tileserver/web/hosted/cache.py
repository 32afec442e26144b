"""Clearing what is cached of a UDF (hosted API, section 2.4)."""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tileserver.bans import of_tile
from tileserver.errors import InvalidParameterError
from tileserver.registry import Registry
from tileserver.tiles import Tile
from tileserver.web.access import Access
from tileserver.web.hosted.owned import own_udf
from tileserver.web.hosted.requests import BASE, Read, takes, whole
from tileserver.web.operations import Natural, Operation, Parameter

_MOST: Final = 10_000
_ADDRESS: Final = tuple(Parameter(name, Natural, "of the only tile to clear, with the other two") for name in "zxy")


class Address(msgspec.Struct, kw_only=True):
    """A tile's."""

    z: Natural
    x: Natural
    y: Natural


class Tiles(msgspec.Struct, kw_only=True):
    """The body of `batch-delete`."""

    tiles: Annotated[list[Address], msgspec.Meta(max_length=_MOST)]


class CacheRoutes:
    """For the UDF's owner; any client id is one of ours."""

    def __init__(self, registry: Registry, access: Access) -> None:
        self._registry, self._access = registry, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        cache = f"{BASE}/realtime-shared/{{client}}/udf-cache/by-id/{{id}}"
        return [
            Route(f"{cache}/delete", self.clear, methods=["DELETE"]),
            Route(f"{cache}/batch-delete", self.clear_tiles, methods=["POST"]),
        ]

    @Operation(status=204, parameters=_ADDRESS)
    async def clear(self, request: Request) -> Response:
        """Makes all that is cached of a UDF stale, or one of its tiles: 204."""
        account = await self._access.owner(request.scope)
        stored = await own_udf(self._registry, account, request.path_params["id"])
        tile = _tile_of(request)
        if tile is None:
            await self._registry.clearings.everything(stored.id)
        else:
            await self._registry.clearings.areas(stored.id, [of_tile(tile)])
        return Response(status_code=204)

    @Operation(status=204)
    @takes(Tiles)
    async def clear_tiles(self, request: Request, read: Read[Tiles]) -> Response:
        """Makes some tiles of a UDF stale, with very many of them all that is cached of it: 204."""
        account = await self._access.owner(request.scope)
        stored = await own_udf(self._registry, account, request.path_params["id"])
        bans = [of_tile(_tile(each.z, each.x, each.y)) for each in (await read()).tiles]
        if bans:
            await self._registry.clearings.areas(stored.id, bans)
        return Response(status_code=204)


def _tile_of(request: Request) -> Tile | None:
    """The tile that a query names."""
    texts = [request.query_params.get(name) for name in "zxy"]
    if texts == [None] * 3:
        return None
    sentence = "'z', 'x' and 'y' should be whole numbers, all three."
    return _tile(*(whole(text or "", sentence, digits=10) for text in texts))


def _tile(z: int, x: int, y: int) -> Tile:
    try:
        return Tile(z, x, y)
    except ValueError as error:
        raise InvalidParameterError(f"{error}.") from None
