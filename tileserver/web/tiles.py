"""Tile and file routes: the URL to what is asked, cheap refusals first.

A small ASGI function in front of the router: a tile from memory meets no router and waits for no other task.
"""

import re
from collections.abc import Iterator
from typing import Final

from tileserver.errors import NotFoundError, UdfError, leaves
from tileserver.formats import ALL, FORMATS
from tileserver.tiles import MAX_ZOOM
from tileserver.web.answering import Address, Answering, ask_of
from tileserver.web.answers import PREFLIGHT, Receive, Scope, Send, respond
from tileserver.web.operations import Described, Operation, Parameter

_TOKEN: Final = rb"([A-Za-z0-9_-]{1,128})"
_NUMBER: Final = rb"(0|[1-9][0-9]{0,9})"
_EXTENSION: Final = rb"(?:\.([a-z]{2,8}))?"
_ADDRESS: Final = rb"/(0|[1-9][0-9]?)/" + _NUMBER + rb"/" + _NUMBER + rb"(?:@([234])x)?" + _EXTENSION + rb"\Z"
_TILE: Final = re.compile(rb"/tiles/" + _TOKEN + _ADDRESS)
_HOSTED: Final = rb"/server/v1/realtime-shared/" + _TOKEN + _EXTENSION + rb"/run"
_HOSTED_TILE: Final = re.compile(_HOSTED + rb"/tiles" + _ADDRESS)
_FILE: Final = re.compile(rb"/files/" + _TOKEN + _EXTENSION + rb"\Z")
_HOSTED_FILE: Final = re.compile(_HOSTED + rb"(?:/file)?\Z")
_COLLECTION: Final = re.compile(
    rb"/server/v1/realtime-shared/(fc_[A-Za-z0-9_-]{1,128})/([A-Za-z0-9_.-]{1,128})"
    rb"/run(?:/file|/tiles(/[^/]+/[^/]+/[^/]+))?\Z"
)
_PLACE: Final = re.compile(_ADDRESS)

ANSWER: Final = Operation(
    media=(*(each.media_type for each in ALL), "*/*"),
    headers={
        "ETag": "of the body as it is coded",
        "Cache-Control": "how long who may keep it",
        "Age": "seconds since it was made",
        "Cache-Status": "where it came from (RFC 9211)",
        "Server-Timing": "milliseconds in look-up, queue, function and encoder",
    },
    also={204: ("Nothing is there.", ""), 304: ("It is as `If-None-Match` has it.", "")},
    parameters=(
        Parameter("format", str, "where the path has no extension; several between commas, the best first"),
        Parameter("rescale", str, "values shown as 0 and 255: low,high, or a pair for each band"),
        Parameter("gamma", str, "above 1 is brighter, 0.1 to 10"),
        Parameter("colormap", str, "by name, or JSON of value to colour, of colours, or of values with colours"),
        Parameter("bands", str, "bands to show, from 1, between commas"),
        Parameter("quality", str, "of JPEG, WebP and AVIF, 1 to 100"),
        Parameter("lossless", str, "true for WebP that keeps every pixel"),
        Parameter("compression", str, "fast or smallest"),
        Parameter("clip", str, "true for GeoJSON and tables of a tile whose features are cut with it"),
        Parameter("tile_size", str, "pixels of the tile's side before the scale"),
        Parameter("empty", str, "`404` answers empty tiles so"),
        Parameter("cache_max_age", str, "how old it may be: seconds, 15m, 12h, 1d; 0 stores nothing"),
    ),
    who="anybody",
    fails=(
        *(error.code for error in leaves(UdfError)),
        *(
            "not_found",
            "invalid_parameter",
            "format_not_possible",
            "call_failed",
            "block_gone",
            "busy",
            "too_many_requests",
        ),
    ),
)
"""What is said of a tile and of a file. Of a query the function's own parameters are left out: they differ."""
_SHARED: Final = "/server/v1/realtime-shared/{token}"
_TILES: Final = ("/tiles/{token}/{z}/{x}/{y}", f"{_SHARED}/run/tiles/{{z}}/{{x}}/{{y}}")
_FILES: Final = ("/files/{token}", f"{_SHARED}/run", f"{_SHARED}/run/file")
_COLLECTED: Final = ("run", "run/file", "run/tiles/{z}/{x}/{y}")
"""Behind a collection's token and the name of one of its UDFs, which may have an extension."""


def parse(path: bytes) -> Address | None:
    """The address that a path spells, or None. Plain ASCII digits only; x and y inside the zoom's pyramid.

    Args:
        path: as it came over the wire, still percent-encoded; only `%40` for `@` may be so.
    """
    if b"%" in path:
        path = path.replace(b"%40", b"@")
    if path.startswith(b"/tiles/"):
        return _tile(_TILE.match(path))
    if path.startswith(b"/files/"):
        return _file(_FILE.match(path), hosted=False)
    if match := _HOSTED_TILE.match(path):
        return _hosted_tile(match)
    if match := _HOSTED_FILE.match(path):
        return _file(match, hosted=True)
    match = _COLLECTION.match(path)
    return _in_collection(match) if match else None


def _tile(match: re.Match[bytes] | None) -> Address | None:
    if match is None:
        return None
    token, z, x, y, scale, extension = match.groups()
    return _checked(token, z, x, y, scale, extension or b"", hosted=False)


def _hosted_tile(match: re.Match[bytes]) -> Address | None:
    token, early, z, x, y, scale, late = match.groups()
    return _checked(token, z, x, y, scale, late or early or b"", hosted=True)


def _checked(
    token: bytes, z: bytes, x: bytes, y: bytes, scale: bytes | None, extension: bytes, *, hosted: bool
) -> Address | None:
    zoom, column, row = int(z), int(x), int(y)
    if zoom > MAX_ZOOM or column >> zoom or row >> zoom:
        return None
    return Address(token.decode(), zoom, column, row, int(scale or 1), extension.decode(), hosted)


def _in_collection(match: re.Match[bytes]) -> Address | None:
    """Of a UDF by its name behind a collection's token: both are the address's token."""
    token, name, place = (each.decode() if each else "" for each in match.groups())
    try:
        address = named(name, place)
    except NotFoundError:
        return None
    return address._replace(token=f"{token}/{address.token}")


def _file(match: re.Match[bytes] | None, *, hosted: bool) -> Address | None:
    if match is None:
        return None
    return Address(match[1].decode(), -1, 0, 0, 1, (match[2] or b"").decode(), hosted)


def named(name: str, place: str) -> Address:
    """The address of a UDF by its name, behind which may be a format's extension, and of a tile: `/z/x/y`, or empty.

    Raises:
        NotFoundError: there is no such tile.
    """
    stem, dot, extension = name.rpartition(".")
    name, extension = (stem, extension) if dot and extension in FORMATS else (name, "")
    if not place:
        return Address(name, -1, 0, 0, 1, extension, hosted=True)
    match = _PLACE.match(place.encode())
    address = _placed(b"", match, extension.encode()) if match else None
    if address is None:
        raise NotFoundError
    return address._replace(token=name)


def _placed(token: bytes, match: re.Match[bytes], early: bytes) -> Address | None:
    z, x, y, scale, late = match.groups()
    return _checked(token, z, x, y, scale, late or early, hosted=True)


def spelled() -> Iterator[tuple[str, str]]:
    """Each address that `parse` understands as a template, with what is there."""
    for path in _TILES:
        for scale, tile in (("", "A tile"), ("@{scale}x", "A tile for a finer screen")):
            yield path + scale, f"{tile}."
            yield path + scale + ".{ext}", f"{tile}, in the format of the extension."
    for path in _FILES:
        yield path, "The function run once, without a tile."
        yield path.replace("{token}", "{token}.{ext}"), "The same, in the format of the extension."
    for path in _COLLECTED:
        yield f"{_SHARED}/{{name}}/{path}", "The same of a UDF by its name, with a collection's token."


def described() -> Iterator[Described]:
    """What is read here by hand, as the router's endpoints are described."""
    for path, summary in spelled():
        yield Described(path, "GET", ANSWER, summary, "tiles")


class TokenRoutes:
    """Answers what `parse` understands."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send, address: Address) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await respond(scope, send, 204, PREFLIGHT, b"")
            return
        await self._answering(scope, receive, send, address, ask_of(scope, address))
