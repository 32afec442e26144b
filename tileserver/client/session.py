"""Where a client's questions go, and as whom."""

from typing import Any, Final

import httpx2

from tileserver import credentials
from tileserver.client.exchange import Steps, exchange, nobody
from tileserver.credentials import HOSTED
from tileserver.errors import InvalidParameterError, SetupError

_PAGE: Final = 100
_HEADERS: Final = {"accept-encoding": "gzip", "user-agent": "tileserver-client"}


class Session:
    """A server and a private token.

    Raises:
        SetupError: nothing says which server, or address or token cannot be.
    """

    def __init__(self, url: str | None, token: str | None) -> None:
        found = credentials.find(url)
        self.url = found.url
        token = (found.token if token is None else token).strip()
        if not _is_address(self.url):
            raise SetupError(f"{self.url!r} is not a server's address, as http://127.0.0.1:8000")
        if not (token.isascii() and token.isprintable()):  # an error of the HTTP library would show it
            raise SetupError("the private token has signs in it that no token has")
        self._headers = _HEADERS | ({"authorization": f"Bearer {token}"} if token else {})

    def ask(
        self, method: str, path: str, body: Any = None, *, query: dict[str, Any] | None = None, base: str = HOSTED
    ) -> Steps[Any]:
        """The JSON that the server answers to a management route, None where it has nothing to say.

        Raises:
            SetupError: nobody answers.
            TileserverError: the server's own error, by its code.
        """
        request = self._request(method, base + path, query, body)
        response = yield from exchange(request)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise nobody(request.url, error) from None

    def pages(self, path: str) -> Steps[list[Any]]:
        """Every page of a list."""
        found: list[Any] = []
        while page := (yield from self.ask("GET", path, query={"skip": len(found), "limit": _PAGE})):
            found += page
        return found

    def fetch(self, path: str, query: dict[str, str]) -> Steps[httpx2.Response]:
        """The answer of a token's route; raises like `exchange`."""
        return (yield from exchange(self._request("GET", path, query, None)))

    def _request(self, method: str, path: str, query: dict[str, Any] | None, body: Any) -> httpx2.Request:
        try:
            return httpx2.Request(method, self.url + path, params=query, json=body, headers=self._headers)
        except httpx2.InvalidURL as error:
            raise InvalidParameterError(
                f"the request cannot be an address ({error}); give less in its parameters"
            ) from None


def _is_address(url: str) -> bool:
    try:
        return bool(httpx2.URL(url).host)
    except httpx2.InvalidURL:
        return False
