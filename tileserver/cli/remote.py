"""Requests to a running server: where it is, and as whom."""

import http.client
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import platformdirs

from tileserver.cli import credentials
from tileserver.errors import BY_CODE, PublicationError, SetupError, TileserverError

HOSTED: Final = "/server/v1"
OWN: Final = "/api/v1"
"""Where the management routes are: the hosted API's, and what it lacks."""


def request(method: str, path: str, body: dict[str, Any] | None = None, *, base: str = HOSTED) -> Any:
    """The JSON that the server answers to a management route.

    Raises:
        SetupError: no server answers, or no credentials are here.
        TileserverError: the server's own error, by its code.
    """
    url, token = _credentials()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    try:
        asked = urllib.request.Request(f"{url}{base}{path}", data, headers, method=method)  # noqa: S310 - see _credentials
        with _opener(url).open(asked, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise _failure(error) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise SetupError(f"no server answers at {url} ({reason}); start it with 'tileserver serve'") from None


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the token is for this server only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None: the redirection is the answer, an error."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    """With the proxies that the environment names, but not to this machine itself."""
    local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    return urllib.request.build_opener(_Nowhere, *([urllib.request.ProxyHandler({})] if local else []))


def _credentials() -> tuple[str, str]:
    default = platformdirs.user_data_dir("tileserver", appauthor=False)
    folder = Path(os.environ.get("TILESERVER_DATA_DIR") or default)
    kept = credentials.load(folder)
    if kept is None:
        raise SetupError(
            f"no credentials in {folder / credentials.NAME}; start 'tileserver serve' once, or set TILESERVER_DATA_DIR"
        )
    url = (os.environ.get("TILESERVER_URL") or kept.url).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise SetupError(f"TILESERVER_URL is {url!r}, but should begin with http:// or https://")
    return url, kept.token


def _failure(error: urllib.error.HTTPError) -> TileserverError:
    try:
        body = json.load(error)
        kind = BY_CODE.get(body["code"], TileserverError)
        return TileserverError(body["detail"]) if kind is PublicationError else kind(body["detail"])
    except (ValueError, KeyError, TypeError, http.client.HTTPException):
        return TileserverError(f"the server answered {error.code}")
