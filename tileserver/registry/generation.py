"""A counter in a memory-mapped file: bumped after each commit, read in a fraction of a microsecond by every process."""

import contextlib
import fcntl
import hashlib
import mmap
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SIZE: Final = 8
"""Bytes: one unsigned integer in the machine's own order, for this host only."""
_MARK: Final = 16
"""Bytes behind it."""


class Generation:
    """The number of changes that all processes made so far."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("a+b")
        with self._locked():
            if self._file.seek(0, os.SEEK_END) < _SIZE + _MARK:
                self._file.truncate(_SIZE)
                self._file.write(os.urandom(_MARK))
                self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), _SIZE + _MARK)
        self._bytes = memoryview(self._map)
        self.word = self._bytes[:_SIZE].cast("Q")
        """The counter as its only item: what a hot path reads without a call."""
        file = f"{platform.node()} {os.fstat(self._file.fileno()).st_ino}"  # a copy of it is another
        self.mark = hashlib.blake2b(bytes(self._bytes[_SIZE:]) + file.encode(), digest_size=_MARK).hexdigest()
        """What no other host's counter has."""

    @property
    def value(self) -> int:
        """The counter."""
        return self.word[0]

    def bump(self) -> None:
        """Add one; the lock keeps two processes from losing one."""
        with self._locked():
            self.word[0] += 1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self.word.release()
        self._bytes.release()
        self._map.close()
        self._file.close()
