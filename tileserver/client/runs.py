"""UDFs run: once, on a tile, or on all tiles of an area; and the addresses at which maps run them."""

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

from tileserver.client.decoding import Answer
from tileserver.client.exchange import Steps
from tileserver.client.outcomes import Came
from tileserver.client.records import Token, Udf
from tileserver.client.session import Session
from tileserver.client.tokens import opening
from tileserver.errors import InvalidParameterError, TileserverError
from tileserver.parameters import as_text
from tileserver.tiles import MAX_ZOOM, Tile, along_curve, covering, degrees
from tileserver.tokens import shape

What = str | Udf | Token
"""A shared token, a UDF's name, or a record of either."""
Place = Tile | tuple[int, int, int]

_LOSSLESS: Final = "npy,tiff,parquet,json"
"""What arrays, tables and plain data come as without losing anything, in this order (hosted API, section 2.6)."""


def run(
    session: Session, what: What, /, tile: Place | None = None, format: str | None = None, **parameters: Any
) -> Steps[Any]:
    """What a UDF returned: an array, a GeoDataFrame or DataFrame, plain data, text, or bytes; see `decode`.

    By name, the token is looked up each time; a UDF or token that `udf` or `token` gave saves that.

    Args:
        what: a UDF's name, a shared token, or a record of either.
        tile: the tile for which it is run, z, x, y where it is a tuple; None runs it without a tile.
        format: as `png` or `geojson`, or several between commas, the best first; None takes what loses nothing.
        parameters: the UDF's own, and those of the query such as `cache_max_age`. None leaves the default.

    Raises:
        NotFoundError: there is no such UDF, or the token opens nothing.
        InvalidParameterError: a parameter does not convert.
        UdfError: the function failed; its owner reads why in `message`, `traceback` and `printed`.
    """
    token = yield from token_of(session, what)
    return (yield from _answer(session, token, tile, format or _LOSSLESS, parameters)).data


def file(session: Session, what: What, /, format: str | None = None, **parameters: Any) -> Steps[Answer]:
    """The answer without a tile as it is sent, with `body`, `media_type` and `data`; else as `run`."""
    token = yield from token_of(session, what)
    return (yield from _answer(session, token, None, format, parameters))


def tile(session: Session, what: What, tile: Place, /, format: str | None = None, **parameters: Any) -> Steps[Answer]:
    """A tile as maps get it, with `body`, `media_type` and `data`; arguments and errors as of `run`.

    Where there is nothing the body is an empty picture, or no bytes.
    """
    token = yield from token_of(session, what)
    return (yield from _answer(session, token, tile, format, parameters))


def tiles(
    session: Session,
    what: What,
    bounds: tuple[float, float, float, float],
    zooms: int | Iterable[int],
    format: str | None,
    parameters: dict[str, Any],
) -> Steps[tuple[Iterator[Steps[tuple[Tile, Came]]], int]]:
    """A conversation for each tile that `bounds` (west, south, east, north in degrees) meets, and how many they are.

    Raises:
        InvalidParameterError: the bounds or the zooms are none.
    """
    rectangles = _rectangles(bounds, [zooms] if isinstance(zooms, int) else list(zooms))
    token = yield from token_of(session, what)
    places = (tile for zoom, columns, rows in rectangles for tile in along_curve(columns, rows, zoom))
    total = sum(len(columns) * len(rows) for _, columns, rows in rectangles)
    return (_placed(session, token, place, format, parameters) for place in places), total


def _rectangles(bounds: tuple[float, float, float, float], zooms: list[int]) -> list[tuple[int, range, range]]:
    if not zooms or not 0 <= min(zooms) <= max(zooms) <= MAX_ZOOM:
        raise InvalidParameterError(f"zooms are from 0 to {MAX_ZOOM}, one or more of them")
    try:
        place = degrees(*bounds)
    except ValueError as error:
        raise InvalidParameterError(str(error)) from None
    return [(zoom, *pair) for zoom in zooms for pair in covering(place, zoom)]


def tile_url(session: Session, what: What, /, format: str | None = None, **parameters: Any) -> Steps[str]:
    """The address of the tiles, with `{z}/{x}/{y}`; of a token given as text, as this client reaches the server."""
    base, token = yield from _place(session, what)
    return _with_query(f"{base}/tiles/{token}/{{z}}/{{x}}/{{y}}{_extension(format)}", parameters)


def file_url(session: Session, what: What, /, format: str | None = None, **parameters: Any) -> Steps[str]:
    """The address at which the UDF is run without a tile, as spreadsheets take it."""
    base, token = yield from _place(session, what)
    return _with_query(f"{base}/files/{token}{_extension(format)}", parameters)


def map_url(session: Session, what: What, /, **parameters: Any) -> Steps[str]:
    """The address of the map page."""
    base, token = yield from _place(session, what)
    return _with_query(f"{base}/tiles/{token}/map", parameters)


def tilejson(session: Session, what: What, /, **parameters: Any) -> Steps[dict[str, Any]]:
    """TileJSON 3.0.0 of the layer: zooms, bounds, the template with the parameters in it."""
    token = yield from token_of(session, what)
    path = f"/tiles/{token}/tilejson.json"
    document: dict[str, Any] = yield from session.ask("GET", path, query=_query(parameters), base="")
    return document


def token_of(session: Session, what: What) -> Steps[str]:
    """The token that opens it; raises NotFoundError where none does."""
    return (yield from _place(session, what))[1]


def _place(session: Session, what: What) -> Steps[tuple[str, str]]:
    """The server's address as it tells it, and the token."""
    if isinstance(what, str) and shape(what) == "shared":
        return session.url, what
    if isinstance(what, Udf):
        what = what.token or what.name
    token = what if isinstance(what, Token) else (yield from opening(session, what))
    return token.map_url.removesuffix(f"/tiles/{token.token}/map"), token.token


def _placed(
    session: Session, token: str, place: Tile, format: str | None, parameters: dict[str, Any]
) -> Steps[tuple[Tile, Came]]:
    try:
        return place, (yield from _answer(session, token, place, format, parameters))
    except TileserverError as error:
        return place, error


def _answer(
    session: Session, token: str, place: Place | None, format: str | None, parameters: dict[str, Any]
) -> Steps[Answer]:
    path, query = f"/files/{token}", _query(parameters)
    if place is not None:
        tile = place if isinstance(place, Tile) else Tile(*place)
        path = f"/tiles/{token}/{tile.z}/{tile.x}/{tile.y}"
        query |= {"tile_size": str(tile.size)} if tile.size != 256 else {}
    if format and "," in format:  # a list is said in the query only
        response = yield from session.fetch(path, query | {"format": format})
    else:
        response = yield from session.fetch(path + _extension(format), query)
    kept = "no-store" not in response.headers.get("cache-control", "")
    return Answer(response.content, response.headers.get("content-type", ""), kept)


def _query(parameters: dict[str, Any]) -> dict[str, str]:
    return {name: as_text(value) for name, value in parameters.items() if value is not None}


def _with_query(url: str, parameters: dict[str, Any]) -> str:
    query = urlencode(_query(parameters))
    return f"{url}?{query}" if query else url


def _extension(format: str | None) -> str:
    return f".{quote(format, safe='')}" if format else ""
