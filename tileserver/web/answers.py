"""Answers as HTTP: what every token route says, the same for tiles and files. Pure functions down to one `send`."""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import msgspec
import orjson
from isal import igzip

from tileserver.errors import BusyError, NotFoundError, TileserverError, UdfError
from tileserver.pipeline import Layer
from tileserver.tilecache import Entry, etag

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

STATUS: Final = {
    "not_found": 404,
    "unauthorised": 401,
    "forbidden": 403,
    "conflict": 409,
    "invalid_parameter": 422,
    "format_not_possible": 422,
    "not_publishable": 422,
    "udf_raised": 422,
    "bad_result": 422,
    "udf_timed_out": 504,
    "udf_crashed": 500,
    "memory_exceeded": 500,
    "result_too_large": 500,
    "udf_suspended": 503,
    "busy": 503,
    "too_many_requests": 429,
    "setup": 500,
}
"""The one table from an error's code to its status, for maps."""

HOSTED_STATUS: Final = STATUS | dict.fromkeys(
    ("udf_crashed", "memory_exceeded", "result_too_large", "udf_suspended"), 422
)
"""The same for the hosted API's routes, whose SDK retries every 502 and 503."""

CORS: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Retry-After, Server-Timing, Cache-Status, Age"),
    (b"x-content-type-options", b"nosniff"),
]
PREFLIGHT: Final[Headers] = [
    *CORS,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, If-None-Match, Cache-Control, Range"),
    (b"access-control-allow-private-network", b"true"),
    (b"access-control-max-age", b"86400"),
    (b"allow", b"GET, HEAD, OPTIONS"),
]
_SANDBOX: Final = (b"content-security-policy", b"sandbox allow-scripts")
_CHUNK: Final = 2**20
_HOSTED_TYPES: Final = {"application/vnd.apache.parquet": "application/octet-stream"}


async def send_entry(
    scope: Scope, send: Send, layer: Layer, entry: Entry, *, timing: str, source: str, hosted: bool = False
) -> None:
    """Answer with an entry: 200, 204 where there is nothing, 304 where the client has it, 404 where it asked for that.

    Args:
        timing: the value of Server-Timing.
        source: how the entry came about, as `pipeline.Answer` says.
    """
    if entry.facts.empty and layer.strict_empty:
        await send_error(scope, send, NotFoundError("Nothing is here, and 'empty=404' was asked for."), hosted=hosted)
        return
    accepted, known = _conditions(scope["headers"])
    if entry.facts.coding == "gzip" and b"gzip" not in accepted:
        entry = identity(entry)
    headers = _entry_headers(entry, hosted=hosted) + _dynamic(layer, entry, timing, source)
    if known and entry.facts.etag.encode() in known:
        await respond(scope, send, 304, headers[1:], b"")
    elif not entry.body:
        await respond(scope, send, 204, headers[1:], b"")
    else:
        await respond(scope, send, 200, headers, entry.body)


def _conditions(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    accepted = known = b""
    for name, value in headers:
        if name == b"accept-encoding":
            accepted = value
        elif name == b"if-none-match":
            known = value
    return accepted, known


def identity(entry: Entry) -> Entry:
    """The entry as a client without gzip takes it, with a validator of its own."""
    body = igzip.decompress(entry.body)
    return Entry(facts=msgspec.structs.replace(entry.facts, coding="", etag=etag(body)), body=body)


def _entry_headers(entry: Entry, *, hosted: bool) -> Headers:
    """The headers that never change for an entry, Content-Type first; made once."""
    if not entry.headers:
        facts = entry.facts
        entry.headers.append((b"content-type", facts.media_type.encode("latin-1", "replace")))
        entry.headers.append((b"etag", facts.etag.encode()))
        entry.headers.extend(CORS)
        if facts.coding:
            entry.headers.append((b"content-encoding", facts.coding.encode()))
        entry.headers.append((b"vary", b"Accept-Encoding"))
        if facts.authored:
            entry.headers.append(_SANDBOX)
    return _hosted(entry.headers) if hosted else entry.headers


def _hosted(headers: Headers) -> Headers:
    """The SDK compares media types to the letter, and knows Parquet as octet-stream (hosted API, section 2.6)."""
    bare = headers[0][1].partition(b";")[0].decode("latin-1")
    return [(b"content-type", _HOSTED_TYPES.get(bare, bare).encode("latin-1")), *headers[1:]]


def _dynamic(layer: Layer, entry: Entry, timing: str, source: str) -> Headers:
    facts = entry.facts
    age = max(int(time.time() - facts.created), 0)
    left = max(facts.max_age - age, 0)
    status = f"tileserver; hit; ttl={left}" if source in _HITS else f"tileserver; fwd=miss; ttl={left}"
    return [
        (b"cache-control", _cache_control(layer, facts.max_age, left)),
        (b"age", b"%d" % (age if source in _HITS else 0)),
        (b"cache-status", f"{status}; detail={source}".encode()),
        (b"server-timing", timing.encode()),
    ]


_HITS: Final = frozenset({"memory", "disk", "outside"})


def _cache_control(layer: Layer, max_age: int, left: int) -> bytes:
    if max_age <= 0:
        return b"no-store"
    scope = b"public" if layer.grant.shared_cache else b"private"
    return b"%s, max-age=%d" % (scope, min(left, 86400 if layer.versioned else 60))


async def send_error(
    scope: Scope, send: Send, error: TileserverError, *, hosted: bool = False, owner: bool = False
) -> None:
    """Answer with an error, on a token's route; the UDF's own words go to its owner only."""
    status, headers, body = error_answer(error, hosted=hosted, owner=owner)
    await respond(scope, send, status, headers + CORS, body)


def error_answer(error: TileserverError, *, hosted: bool, owner: bool = False) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an error."""
    headers: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if isinstance(error, BusyError):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    elif error.code == "udf_suspended":
        headers.append((b"retry-after", b"30"))
    status = (HOSTED_STATUS if hosted else STATUS).get(error.code, 500)
    return status, headers, orjson.dumps(error_body(error, owner))


def error_body(error: TileserverError, owner: bool) -> dict[str, Any]:
    """The code and its sentence; for the owner of a UDF that failed also what it said."""
    body: dict[str, Any] = {"code": error.code, "detail": str(error)}
    if owner and isinstance(error, UdfError):
        body |= {
            "message": error.message,
            "exception": error.exception,
            "line": error.line,
            "traceback": error.traceback,
            "printed": error.printed,
        }
    return body


async def respond(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole response; HEAD without its body, large bodies in pieces so that slow clients hold nothing up."""
    length = [] if status in (204, 304) else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers + length})
    if scope["method"] == "HEAD":
        body = b""
    if len(body) <= _CHUNK:
        await send({"type": "http.response.body", "body": body})
        return
    for start in range(0, len(body), _CHUNK):
        piece = bytes(body[start : start + _CHUNK])
        await send({"type": "http.response.body", "body": piece, "more_body": start + _CHUNK < len(body)})
