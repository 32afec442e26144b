"""Where the server is that commands and the client speak to, and as whom: files that only their user can read.

`serve` leaves one in its data directory, which lets in this machine's owner; `login` one in the user's configuration.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from tileserver.errors import SetupError

NAME: Final = "credentials.json"
HOSTED: Final = "/server/v1"
OWN: Final = "/api/v1"
"""Where a server has its management routes: the hosted API's, and what that lacks."""


class Credentials(msgspec.Struct, frozen=True):
    """What the file holds."""

    url: str
    token: str
    """A private token."""


def load(folder: Path) -> Credentials | None:
    """What is kept in a folder; None where there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Credentials)
    except (OSError, ValueError):
        return None


def save(folder: Path, credentials: Credentials) -> None:
    """Keep them, readable by this user only; whoever reads at this moment reads the old or the new."""
    descriptor, aside = tempfile.mkstemp(dir=folder)  # 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(msgspec.to_builtins(credentials), file)
    Path(aside).replace(folder / NAME)


def data_folder() -> Path:
    """The data directory that `serve` takes where nothing else is said."""
    return Path(os.environ.get("TILESERVER_DATA_DIR") or platformdirs.user_data_dir("tileserver", appauthor=False))


def login_folder() -> Path:
    """Where `login` keeps what it was told."""
    return Path(platformdirs.user_config_dir("tileserver", appauthor=False))


def find(url: str | None = None) -> Credentials:
    """A server, and the private token that is kept for it, which is empty where there is none.

    Args:
        url: its address; None takes the one at `TILESERVER_URL`, for which this machine's own token is taken too; else
            that of the data directory that is named, of the last login, or of this user's data directory.

    Raises:
        SetupError: nothing is kept, or the address is none.
    """
    chosen, own, login = os.environ.get("TILESERVER_URL", ""), load(data_folder()), load(login_folder())
    if url or chosen:
        where = address(url or chosen)
        known = [each for each in (login, own) if each and each.url.rstrip("/") == where]
        known += [own] if own and not url else []
        return Credentials(where, known[0].token if known else "")
    kept = (None if os.environ.get("TILESERVER_DATA_DIR") else login) or own
    if kept is None:
        raise missing()
    return Credentials(address(kept.url), kept.token)


def missing() -> SetupError:
    """What to say where nothing is kept."""
    place = data_folder() / NAME
    return SetupError(
        f"no credentials in {place}; start 'tileserver serve' once, sign in to a server with 'tileserver login URL', "
        "or set TILESERVER_DATA_DIR"
    )


def address(text: str) -> str:
    """A server's address without the slash at its end.

    Raises:
        SetupError: it is no address of a web server.
    """
    if not text.startswith(("http://", "https://")):
        raise SetupError(f"the server's address is {text!r}, but should begin with http:// or https://")
    return text.rstrip("/")
