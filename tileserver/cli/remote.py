"""Requests to a running server: where it is, and as whom."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import platformdirs

from tileserver.errors import BY_CODE, SetupError, TileserverError


def request(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that the server answers to a management route.

    Raises:
        SetupError: no server answers, or no credentials are here.
        TileserverError: the server's own error, by its code.
    """
    url, token = _credentials()
    asked = urllib.request.Request(  # noqa: S310 - http or https, as the user set it
        f"{url}/server/v1{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise _failure(error) from None
    except (urllib.error.URLError, OSError) as error:
        raise SetupError(
            f"no server answers at {url} ({getattr(error, 'reason', error)}); start it with 'tileserver serve'"
        ) from None


def _credentials() -> tuple[str, str]:
    default = platformdirs.user_data_dir("tileserver", appauthor=False)
    place = Path(os.environ.get("TILESERVER_DATA_DIR") or default) / "credentials.json"
    try:
        kept = json.loads(place.read_text())
    except (OSError, ValueError):
        raise SetupError(
            f"no credentials in {place}; start 'tileserver serve' once, or set TILESERVER_DATA_DIR"
        ) from None
    return (os.environ.get("TILESERVER_URL") or kept["url"]).rstrip("/"), kept["token"]


def _failure(error: urllib.error.HTTPError) -> TileserverError:
    try:
        body = json.load(error)
        return BY_CODE.get(body["code"], TileserverError)(body["detail"])
    except (ValueError, KeyError, TypeError):
        return TileserverError(f"the server answered {error.code}")
