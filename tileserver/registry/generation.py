"""A counter in a memory-mapped file: bumped after each commit, read in a fraction of a microsecond by every process."""

import contextlib
import fcntl
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_WORD: Final = struct.Struct("<Q")


class Generation:
    """The number of changes that all processes made so far."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("a+b")
        if self._file.seek(0, 2) < _WORD.size:
            self._file.truncate(_WORD.size)
        self._word = mmap.mmap(self._file.fileno(), _WORD.size)

    @property
    def value(self) -> int:
        """The counter."""
        return int(_WORD.unpack_from(self._word)[0])

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Bump at the end, however it ends: what a cancelled caller began may have been committed."""
        try:
            yield
        finally:
            self.bump()

    def bump(self) -> None:
        """Add one; the lock keeps two processes from losing one."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            _WORD.pack_into(self._word, 0, self.value + 1)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self._word.close()
        self._file.close()
