"""A counter in a memory-mapped file: bumped after each commit, read in a fraction of a microsecond by every process."""

import contextlib
import fcntl
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SIZE: Final = 8
"""Bytes: one unsigned integer in the machine's own order, for this host only."""


class Generation:
    """The number of changes that all processes made so far."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("a+b")
        if self._file.seek(0, 2) < _SIZE:
            self._file.truncate(_SIZE)
        self._map = mmap.mmap(self._file.fileno(), _SIZE)
        self.word = memoryview(self._map).cast("Q")
        """The counter as its only item: what a hot path reads without a call."""

    @property
    def value(self) -> int:
        """The counter."""
        return self.word[0]

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
            self.word[0] += 1
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self.word.release()
        self._map.close()
        self._file.close()
