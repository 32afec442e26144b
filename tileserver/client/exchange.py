"""One request and its answer, without I/O: what is sent, when it is sent again, and which error an answer is.

A conversation with the server is a generator: it yields requests, and seconds to wait, to whoever drives it.
"""

import re
from collections.abc import Generator
from typing import Any, Final, TypeVar

import httpx2

from tileserver.errors import BY_CODE, BusyError, PublicationError, SetupError, TileserverError, UdfError

T = TypeVar("T")

Steps = Generator[httpx2.Request | float, httpx2.Response, T]
"""A conversation that ends with a `T`."""

_PAUSES: Final = (0.2, 1.0)
"""Seconds before the second and the third attempt, where the server does not say how long."""
_LONGEST_PAUSE: Final = 10.0
"""Seconds: who is told to wait longer hears of it."""
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_COMPLAINT: Final = re.compile(r"(?P<file>[^\n]+?\.py):(?:(?P<line>\d+):)? (?P<reason>.*)", re.DOTALL)


def exchange(request: httpx2.Request) -> Steps[httpx2.Response]:
    """The answer to a request.

    What may be repeated is asked again where nobody listened, and where the server says when.

    Raises:
        SetupError: nobody answers.
        TileserverError: the server's own error, by its code.
    """
    pauses = iter(_PAUSES if request.method in _REPEATABLE else ())
    while True:
        try:
            response = yield request
        except httpx2.RequestError as error:
            wait = next(pauses, None) if isinstance(error, httpx2.ConnectError) else None
            if wait is None:
                raise nobody(request.url, error) from None
        else:
            if response.is_success:
                return response
            wait = next(pauses, None) and _told(response)
            if wait is None:
                raise failure(response)
        yield wait


def _told(response: httpx2.Response) -> float | None:
    """After how many seconds the server wants to be asked again; None where it does not."""
    text = response.headers.get("retry-after", "")
    if response.status_code not in (429, 503) or not (text.isascii() and text.isdigit()):
        return None
    return float(text) if float(text) <= _LONGEST_PAUSE else None


def nobody(url: httpx2.URL, error: Exception) -> SetupError:
    """What to say where no answer came, or none that a server of ours would give."""
    where = f"{url.scheme}://{url.netloc.decode()}"
    if isinstance(error, httpx2.ReadTimeout):
        return SetupError(f"the server at {where} took too long to answer; give the client a longer timeout")
    reason = str(error) or type(error).__name__
    return SetupError(f"no server answers at {where} ({reason}); start it with 'tileserver serve'")


def failure(response: httpx2.Response) -> TileserverError:
    """The error that an answer is; the owner of a function that failed reads why in a note below it."""
    try:
        body = response.json()
        code, detail = body["code"], str(body["detail"])
    except (ValueError, KeyError, TypeError):
        return TileserverError(f"the server answered {response.status_code}")
    kind = BY_CODE.get(code, TileserverError)
    if issubclass(kind, UdfError):
        return _of_udf(kind, body)
    if issubclass(kind, BusyError):
        seconds = response.headers.get("retry-after", "")
        return kind(detail, retry_after=int(seconds)) if seconds.isdigit() else kind(detail)
    if kind is PublicationError:
        return _of_publication(detail)
    return kind(detail)


def _of_udf(kind: type[UdfError], body: dict[str, Any]) -> UdfError:
    facts = {name: body[name] for name in ("message", "traceback", "line", "printed", "exception") if name in body}
    error = kind(**facts)
    for part in (error.traceback or error.message, error.printed and f"printed:\n{error.printed}"):
        if part:
            error.add_note(part.rstrip())
    return error


def _of_publication(detail: str) -> TileserverError:
    match = _COMPLAINT.fullmatch(detail)
    if match is None:
        return TileserverError(detail)
    line = int(match["line"]) if match["line"] else None
    return PublicationError(match["reason"], file=match["file"], line=line)
