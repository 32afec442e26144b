"""What an endpoint says of itself in the API's description: what it answers, to whom, and how it fails.

The rest is elsewhere already: the summary is the endpoint's docstring, path and method are the route's.
"""

from collections.abc import Iterable, Iterator
from inspect import getdoc
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

import msgspec
from starlette.routing import BaseRoute, Mount, Route

E = TypeVar("E")

Natural = Annotated[int, msgspec.Meta(ge=0)]
JSON: Final = "application/json"
HTML: Final = "text/html"
BYTES: Final = "application/octet-stream"
FORM: Final = "multipart/form-data"
_UNREAD: Final = frozenset({"HEAD"})
"""What is as GET everywhere, and said once for all."""


class Parameter(NamedTuple):
    """One of a query, or a header."""

    name: str
    kind: Any
    """A type, as msgspec reads it."""
    text: str
    required: bool = False
    place: Literal["query", "header"] = "query"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """The decorator of an endpoint."""

    answer: Any = None
    """The type of a JSON body; None where the body is none, or of another sort."""
    media: tuple[str, ...] = ()
    """Media types of a body that is no JSON."""
    status: int = 200
    headers: dict[str, str] = {}
    """Of the answer, each with what it means."""
    also: dict[int, tuple[str, str]] = {}
    """Other statuses of the endpoint's own: what each means, and the media type of its body, if it has one."""
    parameters: tuple[Parameter, ...] = ()
    sends: str = ""
    """The media type of the request's body where it is no JSON; for JSON an endpoint `takes` a record."""
    who: Literal["anybody", "account", "owner"] = "account"
    """Anybody; who has an account; or the server's owner only."""
    fails: tuple[str, ...] = ()
    """Codes of errors, beside those that follow from the rest."""

    def __call__(self, endpoint: E) -> E:
        """Mark the endpoint."""
        endpoint.operation = self  # type: ignore[attr-defined]
        return endpoint


class Described(NamedTuple):
    """An operation with all that its description is made of."""

    path: str
    method: str
    said: Operation
    summary: str
    subject: str
    """The module that it is in, from `tileserver.web` on."""
    body: Any = None
    """The type of the JSON body that the endpoint takes."""


def described(routes: Iterable[BaseRoute]) -> Iterator[Described]:
    """Every operation of the routes; raises AttributeError where an endpoint says nothing of itself."""
    for route in routes:
        if isinstance(route, Mount):
            yield _described(f"{route.path}/{{path}}", "GET", route.app)
        elif isinstance(route, Route):
            path = route.path.replace(":path}", "}")
            for method in sorted(set(route.methods or ()) - _UNREAD):
                yield _described(path, method, route.endpoint)


def _described(path: str, method: str, endpoint: Any) -> Described:
    subject = endpoint.__module__.removeprefix("tileserver.web.")
    return Described(path, method, endpoint.operation, getdoc(endpoint) or "", subject, getattr(endpoint, "body", None))
