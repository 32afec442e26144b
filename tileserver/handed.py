"""Files that the server hands to a worker as descriptors: both ends keep the same list of those that are open there.

Each end sees the same jobs in the same order, so nothing has to be said about what was closed.
"""

import os
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from tileserver.errors import BlockGoneError
from tileserver.jobs import Stored

T = TypeVar("T")
_MOST: Final = 16
"""Files of a worker."""
_MOST_BYTES: Final = 2**28
"""That all of them take once they are read, as long as there are several."""


class Open(Generic[T]):
    """Files that a worker has open, with what is kept of each; those that were wanted last."""

    def __init__(self) -> None:
        self._files: OrderedDict[Stored, T] = OrderedDict()

    def get(self, file: Stored) -> T | None:
        """What is kept of a file, which is then the last that was wanted."""
        if file in self._files:
            self._files.move_to_end(file)
        return self._files.get(file)

    def put(self, file: Stored, kept: T) -> None:
        """Keep it, and let go of those that this is too much with."""
        self._files[file] = kept
        while len(self._files) > _MOST or (self._bytes() > _MOST_BYTES and len(self._files) > 1):
            self._files.popitem(last=False)

    def _bytes(self) -> int:
        return sum(each.weight for each in self._files)


def opened(file: Stored) -> int:
    """A descriptor to read it, which is the caller's to close.

    Raises:
        BlockGoneError: it is not there any more, or is another one.
    """
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise BlockGoneError from None
    if stamp(os.fstat(descriptor)) != file.stamp:
        os.close(descriptor)
        raise BlockGoneError
    return descriptor


def stamp(file: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from another, and from itself when it has been written to; see `Stored`."""
    return file.st_ino, file.st_mtime_ns, file.st_size
