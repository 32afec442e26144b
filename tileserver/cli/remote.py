"""Requests of the other commands to a running server, through the client, which is loaded when one is made."""

from typing import TYPE_CHECKING, Any, Final

from tileserver import credentials
from tileserver.credentials import HOSTED, Credentials

if TYPE_CHECKING:
    from tileserver.client import Client

_TIMEOUT_SECONDS: Final = 30.0
_LONGEST_SECONDS: Final = 3600.0
"""The server ends what takes longer than its own limits, which it alone knows."""


def request(method: str, path: str, body: dict[str, Any] | None = None, *, base: str = HOSTED) -> Any:
    """The JSON that the server answers to a management route.

    Raises:
        SetupError: no server answers, or no credentials are here.
        TileserverError: the server's own error, by its code.
    """
    return ask(_credentials(), method, path, body, base=base)


def ask(at: Credentials, method: str, path: str, body: dict[str, Any] | None = None, *, base: str = HOSTED) -> Any:
    """The same with credentials that are given; raises like `request`."""
    with _client(at) as client:
        return client.ask(method, path, body, base=base)


def pages(path: str) -> list[dict[str, Any]]:
    """Every page of a list; raises like `request`."""
    with _client(_credentials()) as client:
        return client.pages(path)


def client(*, concurrency: int = 8) -> "Client":
    """The client, with time for long runs; raises like `request`."""
    from tileserver.client import Client

    found = _credentials()
    return Client(found.url, found.token, timeout=_LONGEST_SECONDS, concurrency=concurrency)


def _credentials() -> Credentials:
    found = credentials.find()
    if not found.token:
        raise credentials.missing()
    return found


def _client(at: Credentials) -> "Client":
    from tileserver.client import Client

    return Client(at.url, at.token, timeout=_TIMEOUT_SECONDS)
