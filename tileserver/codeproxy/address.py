"""Addresses of code on GitHub, and on hosts that spell them alike; nothing that a path or git could misread."""

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from tileserver.errors import InvalidParameterError

GITHUB: Final = "github.com"
GITHUB_RAW: Final = "raw.githubusercontent.com"

_LONGEST: Final = 2048
_LONGEST_NAME: Final = 255
"""Characters of a URL and of a name in it."""
_SHAPE: Final = re.compile(
    r"https://([a-z0-9.-]+)/([a-z0-9][a-z0-9_-]{0,38})/(?!\.\.?/)([\w.-]{1,100})/([^?#]+)(?:[?#].*)?",
    re.ASCII | re.IGNORECASE,
)
_KINDS: Final = frozenset({"tree", "blob", "raw"})
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Address(msgspec.Struct, frozen=True):
    """Where a UDF's file or folder is."""

    host: str
    owner: str
    repository: str
    parts: tuple[str, ...]
    """Branch, tag or commit, and the path. Only who has the repository knows where the path begins: branches may have
    slashes."""

    @property
    def file(self) -> str:
        """The file's name, or an empty text where this is a folder."""
        return self.parts[-1] if len(self.parts) > 1 and self.parts[-1].endswith(".py") else ""

    @property
    def folder(self) -> tuple[str, ...]:
        """Branch and path of the folder."""
        return self.parts[:-1] if self.file else self.parts

    @property
    def folder_name(self) -> str:
        """The folder's name; at the top of a repository the repository's."""
        return self.folder[-1] if len(self.folder) > 1 else self.repository

    @property
    def pinned(self) -> bool:
        """Whether it names a commit in full, so that what is there never changes."""
        return _COMMIT.fullmatch(self.parts[0]) is not None

    @property
    def place(self) -> str:
        """Host, owner and repository, as messages name them."""
        return f"{self.host}/{self.owner}/{self.repository}"


def parse(url: str) -> Address:
    """The address that a URL spells: `tree/`, `blob/` or `raw/`, or one of GitHub's host for raw files.

    Raises:
        InvalidParameterError: it is none; says what one looks like.
    """
    match = _SHAPE.fullmatch(url) if len(url) <= _LONGEST and url.isprintable() else None
    if match is None:
        raise _strange()
    host, owner, repository, rest = match.groups()
    host, segments = host.lower(), rest.removesuffix("/").split("/")
    if host == GITHUB_RAW:
        host = GITHUB
    elif segments.pop(0) not in _KINDS:
        raise _strange()
    return Address(host, owner, repository, _decoded(segments))


def is_name(text: str) -> bool:
    """Whether this can be a file's or a folder's name: never a way out of where it is looked for."""
    return text not in ("", ".", "..") and "/" not in text and text.isprintable() and len(text) <= _LONGEST_NAME


def _decoded(segments: list[str]) -> tuple[str, ...]:
    try:
        parts = tuple(unquote(each, errors="strict") for each in segments)
    except UnicodeDecodeError:
        raise _strange() from None
    if not parts or not all(map(is_name, parts)):
        raise _strange()
    return parts


def _strange() -> InvalidParameterError:
    message = (
        "This is no address of a UDF; one looks like https://github.com/OWNER/REPOSITORY/tree/BRANCH/FOLDER"
        " or https://github.com/OWNER/REPOSITORY/blob/BRANCH/FOLDER/FILE.py."
    )
    return InvalidParameterError(message, parameter="url")
