"""What the hosted API's routes share: pages, bodies, moments."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Annotated, Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from tileserver.errors import InvalidParameterError
from tileserver.web.operations import Natural, Parameter

T = TypeVar("T")
S = TypeVar("S")
A = TypeVar("A")
Work = Coroutine[Any, Any, A]
Read = Callable[[], Awaitable[T]]
"""Reads the request's body, once it is known that whoever sends it may."""

NOT_OURS: Final = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""Headers of bodies that somebody made or uploaded: no browser shall run them in our name."""

BASE: Final = "/server/v1"
SOURCE_LIMIT: Final = 32 * 2**20
"""Bytes of a posted source."""
_DEFAULT_PAGE: Final = 25
_LONGEST_PAGE: Final = 10_000
PAGE: Final = (
    Parameter("skip", Natural, "how many to leave out"),
    Parameter("limit", Natural, f"how many to list, {_DEFAULT_PAGE} where nothing is said, {_LONGEST_PAGE} at most"),
)
"""What `page` reads."""
Json = Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": "application/json"})]
"""JSON in a string, as the SDK sends what is in its records."""


def moment(microseconds: int) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()


def page(request: Request) -> tuple[int, int]:
    """`skip` and `limit` of a list's query; raises InvalidParameterError where either is no number."""

    def number(name: str, default: int) -> int:
        text = request.query_params.get(name, str(default))
        return whole(text, f"'{name}' should be a whole number, not negative.", parameter=name)

    return number("skip", 0), min(number("limit", _DEFAULT_PAGE), _LONGEST_PAGE)


def truth(text: str, name: str) -> bool:
    """Whether a query says true.

    Raises:
        InvalidParameterError: it says neither that nor false.
    """
    if text.lower() not in ("true", "false"):
        raise InvalidParameterError(f"'{name}' should be true or false.", parameter=name)
    return text.lower() == "true"


def whole(text: str, sentence: str, *, parameter: str = "", digits: int = 18) -> int:
    """A whole number that is not negative, of so many digits at most.

    Raises:
        InvalidParameterError: it is none; says the sentence.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise InvalidParameterError(sentence, parameter=parameter)
    return int(text)


def takes(kind: type[T]) -> Callable[[Callable[[S, Request, Read[T]], Work[A]]], Callable[[S, Request], Work[A]]]:
    """Hands an endpoint what reads its JSON body as `kind`, which is then the body that its description names."""

    def taking(endpoint: Callable[[S, Request, Read[T]], Work[A]]) -> Callable[[S, Request], Work[A]]:
        @wraps(endpoint)
        async def reading(self: S, request: Request) -> A:
            return await endpoint(self, request, partial(_body, request, kind))

        vars(reading)["body"] = kind
        return reading

    return taking


async def _body(request: Request, kind: type[T]) -> T:
    """The request's JSON body; without a byte it is one without a field.

    Raises:
        InvalidParameterError: it is too large, or not what the route takes.
    """
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > SOURCE_LIMIT:
            raise InvalidParameterError(f"The body is larger than {SOURCE_LIMIT} bytes.")
    return decoded(bytes(raw) or b"{}", kind)


def decoded(raw: bytes, kind: type[T]) -> T:
    """JSON as a record.

    Raises:
        InvalidParameterError: it is none, or not what the route takes.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameterError(f"The body cannot be read: {error}") from None
    except RecursionError:
        raise InvalidParameterError("The body cannot be read: it is nested too deep.") from None
