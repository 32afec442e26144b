"""A folder of code somewhere else: what the mirror and the hosts have in common."""

from typing import Final, Protocol

from tileserver.errors import InvalidParameterError

FILE_LIMIT: Final = 500_000
"""Bytes of a file, and of all of a UDF: strangers may ask for them, and nothing else runs while a text is parsed."""


class Folder(Protocol):
    """The files of a folder at one branch, tag or commit."""

    async def read(self, name: str) -> bytes | None:
        """A file's contents; None where it is not there. Several may be asked for at once.

        Raises:
            InvalidParameterError: it is above the limit.
            SourceUnavailableError: it cannot be read now.
        """


def too_large(name: str) -> InvalidParameterError:
    """What to raise for a file above the limit."""
    return InvalidParameterError(f"'{name}' has more than {FILE_LIMIT // 1000} kB.", parameter="url")
