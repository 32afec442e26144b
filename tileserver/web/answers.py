"""Answers as HTTP: what every token route says, the same for tiles and files. Pure functions down to one `send`."""

import asyncio
import re
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, Final, NamedTuple, NotRequired, TypedDict

import msgspec
import orjson
from isal import isal_zlib
from isal.igzip_lib import IsalError

from tileserver.errors import BY_CODE, BusyError, CallError, TileserverError, UdfError
from tileserver.formats import hosted_type
from tileserver.layers import Layer
from tileserver.tilecache import Entry, etag
from tileserver.web import metadata

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
    "source_unavailable": 504,
    "udf_raised": 422,
    "bad_result": 422,
    "udf_timed_out": 504,
    "udf_crashed": 500,
    "memory_exceeded": 500,
    "result_too_large": 500,
    "cpu_exceeded": 500,
    "processes_exceeded": 500,
    "disk_exceeded": 500,
    "udf_suspended": 503,
    "call_failed": 422,
    "block_gone": 503,
    "busy": 503,
    "too_many_requests": 429,
    "setup": 500,
}
"""The one table from an error's code to its status, for maps."""

HOSTED_STATUS: Final = STATUS | dict.fromkeys(
    (
        "udf_crashed",
        "memory_exceeded",
        "result_too_large",
        "cpu_exceeded",
        "processes_exceeded",
        "disk_exceeded",
        "udf_suspended",
    ),
    422,
)
"""The same for the hosted API's routes, whose SDK retries every 502 and 503."""

CORS: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Retry-After, Server-Timing, Cache-Status, Age, X-Tile-Changes"),
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
_SENTENCE: Final = 2000
"""Characters of an error in a header; HTTP clients refuse long lines."""
_SANDBOX: Final = (b"content-security-policy", b"sandbox allow-scripts")
_CHUNK: Final = 2**20
_PLAIN_LIMIT: Final = 512 * 2**20
"""Bytes that a body may have once unpacked; beyond it a client without gzip gets it packed."""
_GZIP_REFUSED: Final = re.compile(rb"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|\Z)")


class ErrorBody(TypedDict):
    """The body of every failure; the owner of a function that failed is told what it said, too."""

    code: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*BY_CODE, TileserverError.code]})]
    detail: str
    message: NotRequired[str]
    exception: NotRequired[str]
    line: NotRequired[int | None]
    traceback: NotRequired[str]
    printed: NotRequired[str]


class Prepared(NamedTuple):
    """An answer with all of its headers but Server-Timing; nobody has said yet what he accepts and has."""

    etag: bytes
    coded: bool
    """Whether the body is gzipped."""
    entity: Headers
    """Content-Type, Content-Length and Content-Encoding: what a 304 leaves out."""
    headers: Headers
    body: bytes
    nothing: int = 204
    """The status where there is no byte."""


def prepare(
    layer: Layer, entry: Entry, source: str, *, hosted: bool, owner: bool = False, by_accept: bool = False
) -> Prepared:
    """The answer that an entry makes for a layer.

    Args:
        source: how the entry came about, as `pipeline.Answer` says.
        hosted: whether the hosted API's spelling of media types and its own headers are wanted.
        owner: whether who asks may read, with it, what the function printed.
        by_accept: whether browsers get another answer at the same address.
    """
    facts = entry.facts
    etag = facts.etag.encode()
    vary = b"Accept-Encoding, Accept" if by_accept else b"Accept-Encoding"
    headers = [*CORS, (b"etag", etag), (b"vary", vary), *_freshness(layer, entry, source)]
    if facts.authored:
        headers.append(_SANDBOX)
    if facts.changes:
        headers.append((b"x-tile-changes", facts.changes.encode()))
    if hosted:
        headers += _told(entry, source, owner=owner)
    nothing = 200 if hosted and facts.media_type == _NOTHING else 204  # the SDK reads None of a 200 only
    return Prepared(etag, facts.coding == "gzip", _entity(entry, hosted=hosted), headers, entry.body, nothing)


def _told(entry: Entry, source: str, *, owner: bool) -> Headers:
    """What the SDK wants to know: whether the result is new, what was printed, that nothing is no table (2.6, 2.7)."""
    headers = [_KEPT[source]] if source in _KEPT else []
    if not entry.body and entry.facts.media_type != _NOTHING:
        headers.append((b"content-type", _NOTHING.encode()))
    if owner and any(entry.facts.printed):
        headers.append((b"x-fused-metadata", metadata.ran(*entry.facts.printed)))
    return headers


def _entity(entry: Entry, *, hosted: bool) -> Headers:
    facts = entry.facts
    media_type = hosted_type(facts.media_type) if hosted else facts.media_type
    coding = [(b"content-encoding", facts.coding.encode())] if facts.coding else []
    length = (b"content-length", b"%d" % len(entry.body))
    return [(b"content-type", media_type.encode("latin-1", "replace")), length, *coding]


def _freshness(layer: Layer, entry: Entry, source: str) -> Headers:
    """How old it is, and until when it may be kept: `max-age` counts from when it was made, as `Age` does (RFC 9111,
    section 4.2); what is past its age, or was cleared, is not fresh however young it is."""
    age, stale = max(int(time.time() - entry.facts.created), 0), source == "stale"
    left = min(layer.max_age - age, 0) if stale else max(layer.max_age - age, 0)
    status = f"tileserver; {'hit' if source in _HITS else 'fwd=miss'}; ttl={left}; detail={source}"
    return [
        (b"cache-control", _cache_control(layer, entry, 0 if stale else age, left)),
        (b"age", b"%d" % age),
        (b"cache-status", status.encode()),
    ]


_NOTHING: Final = "application/json"
_SHARED: Final = ("redis", "memcached", "objects")
_HITS: Final = frozenset({"memory", "disk", *_SHARED, "stale", "above", "block", "outside"})
_KEPT: Final = dict.fromkeys(("memory", "stale", "above"), (b"x-cache", b"HIT")) | dict.fromkeys(
    ("disk", *_SHARED), (b"x-fused-cached", b"true")
)
"""What tells the SDK that a result is not new, and from which storage it is (hosted API, section 2.7)."""


def _cache_control(layer: Layer, entry: Entry, age: int, left: int) -> bytes:
    callees = entry.facts.callees
    if layer.max_age <= 0 or (callees and not entry.facts.settled):
        return b"no-store"
    scope = b"public" if layer.grant.shared_cache else b"private"
    settled = layer.versioned and not callees  # of those the URL does not name the version
    return b"%s, max-age=%d" % (scope, age + max(min(left, 86400 if settled else 60), 0))


async def send_prepared(scope: Scope, send: Send, answer: Prepared, timing: bytes) -> None:
    """Send an answer: 200, 204 where there is nothing, 304 where the client has it.

    Args:
        timing: the value of Server-Timing.
    """
    accepted = known = b""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted = value
        elif name == b"if-none-match":
            known = value
    if answer.coded and not takes_gzip(accepted):
        answer = await _decoded(answer)
    headers = [*answer.headers, (b"server-timing", timing)]
    if known and answer.etag in known:
        await _send(scope, send, 304, headers, b"")
    elif not answer.body and answer.nothing == 204:
        await _send(scope, send, 204, headers, b"")
    else:
        await _send(scope, send, 200, answer.entity + headers, answer.body)


def takes_gzip(accepted: bytes) -> bool:
    """Whether the value of Accept-Encoding names gzip, and not only to refuse it."""
    return b"gzip" in accepted and (b"q=0" not in accepted or _GZIP_REFUSED.search(accepted) is None)


async def _decoded(answer: Prepared) -> Prepared:
    """The answer as a client without gzip takes it, with a validator of its own."""
    if len(answer.body) > _CHUNK:
        return await asyncio.to_thread(_unpacked, answer)
    return _unpacked(answer)


def _unpacked(answer: Prepared) -> Prepared:
    unpacking = isal_zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unpacking.decompress(answer.body, _PLAIN_LIMIT)
    except IsalError:  # type: ignore[misc]  # the stub says that it is an instance
        return answer
    if not unpacking.eof:
        return answer
    validator = etag(body).encode()
    entity = [answer.entity[0], (b"content-length", b"%d" % len(body))]
    headers = [(name, validator if name == b"etag" else value) for name, value in answer.headers]
    return Prepared(validator, False, entity, headers, body)


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
    if hosted:
        headers.append(_said(error, owner=owner))
    return status, headers, orjson.dumps(error_body(error, owner))


def _said(error: TileserverError, *, owner: bool) -> tuple[bytes, bytes]:
    """What the SDK reads of an error."""
    if isinstance(error, UdfError | CallError):
        return b"x-fused-metadata", metadata.failed(error, owner=owner)
    sentence = "".join(each if each.isprintable() else " " for each in str(error)[:_SENTENCE])  # may quote its cause
    return b"x-fused-error", sentence.encode("ascii", "replace")


def error_body(error: TileserverError, owner: bool) -> ErrorBody:
    """The code and its sentence; for the owner of a UDF that failed also what it said."""
    body: ErrorBody = {"code": error.code, "detail": str(error)}
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
    """Send a whole response that has no length yet."""
    length = [] if status in (204, 304) else [(b"content-length", b"%d" % len(body))]
    await _send(scope, send, status, headers + length, body)


async def _send(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a response; HEAD without its body, large bodies in pieces so that slow clients hold nothing up."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] == "HEAD":
        body = b""
    if len(body) <= _CHUNK:
        await send({"type": "http.response.body", "body": body})
        return
    for start in range(0, len(body), _CHUNK):
        piece = bytes(body[start : start + _CHUNK])
        await send({"type": "http.response.body", "body": piece, "more_body": start + _CHUNK < len(body)})
