"""The file that tells the other commands on this machine where the server is, and lets them in as its owner."""

import json
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

NAME: Final = "credentials.json"


class Credentials(msgspec.Struct, frozen=True):
    """What the file holds."""

    url: str
    token: str
    """A private token of the owner."""


def load(folder: Path) -> Credentials | None:
    """What is kept in a data directory; None where there is nothing, or nothing that can be read."""
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
