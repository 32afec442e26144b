"""What the hosted API's routes share: pages, bodies, moments."""

from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from tileserver.errors import InvalidParameterError

T = TypeVar("T")

NOT_OURS: Final = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""Headers of bodies that somebody made or uploaded: no browser shall run them in our name."""

BASE: Final = "/server/v1"
SOURCE_LIMIT: Final = 32 * 2**20
"""Bytes of a posted source."""
_DEFAULT_PAGE: Final = 25
_LONGEST_PAGE: Final = 10_000


def moment(microseconds: int) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()


def page(request: Request) -> tuple[int, int]:
    """`skip` and `limit` of a list's query."""

    def number(name: str, default: int) -> int:
        text = request.query_params.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default

    return number("skip", 0), min(number("limit", _DEFAULT_PAGE), _LONGEST_PAGE)


def whole(text: str, sentence: str, *, parameter: str = "", digits: int = 18) -> int:
    """A whole number that is not negative, of so many digits at most.

    Raises:
        InvalidParameterError: it is none; says the sentence.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise InvalidParameterError(sentence, parameter=parameter)
    return int(text)


async def body(request: Request, kind: type[T]) -> T:
    """The request's JSON body.

    Raises:
        InvalidParameterError: it is too large, or not what the route takes.
    """
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > SOURCE_LIMIT:
            raise InvalidParameterError(f"The body is larger than {SOURCE_LIMIT} bytes.")
    return decoded(bytes(raw), kind)


def decoded(raw: bytes, kind: type[T]) -> T:
    """JSON as a record; raises like `body`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameterError(f"The body cannot be read: {error}") from None
    except RecursionError:
        raise InvalidParameterError("The body cannot be read: it is nested too deep.") from None
