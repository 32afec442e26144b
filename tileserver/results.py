"""Where a worker leaves a body for the server: memory that both see, so that it is copied twice and not six times.

The first page tells, by anything but zeros, that a job has begun. The worker cannot make the memory smaller (a seal:
memfd_create(2)): the server would die reading what is no longer there.
"""

import fcntl
import mmap
import os
import sys
import tempfile
from typing import Final

from tileserver.frames import BODY_LIMIT

_OFFSET: Final = mmap.ALLOCATIONGRANULARITY
_SHARED_BYTES: Final = 2**18
"""The longest body that is copied out of it; pages stay with the worker once they are used."""
_MARK: Final = slice(0, 1)


class Results:
    """One end of it; a job at a time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _OFFSET + _SHARED_BYTES)

    @classmethod
    def create(cls) -> "Results":
        """The server's end; the worker gets the descriptor."""
        descriptor = _nameless_file(_OFFSET + _SHARED_BYTES)
        try:
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def mark(self, *, begun: bool) -> None:
        """Note whether a job has begun."""
        self._memory[_MARK] = b"\1" if begun else b"\0"

    @property
    def begun(self) -> bool:
        """Whether it has."""
        return self._memory[_MARK] != b"\0"

    def put(self, body: bytes) -> int:
        """Bytes that the server can take; 0 for a body that is better sent, because it is neither short nor long."""
        length = len(body)
        if length <= _SHARED_BYTES:
            self._memory[_OFFSET : _OFFSET + length] = body
            return length
        return self._write(body) if length > BODY_LIMIT else 0

    def _write(self, body: bytes) -> int:
        view, written = memoryview(body), 0
        while written < len(body):
            written += os.pwrite(self.descriptor, view[written:], _OFFSET + written)
        return written

    def take(self, length: int) -> bytes | mmap.mmap:
        """A body: a copy of a short one; of a long one the memory itself, so that the worker must not be used again.

        Raises:
            ValueError: there is less.
        """
        if length <= _SHARED_BYTES:
            return self._memory[_OFFSET : _OFFSET + length]
        return mmap.mmap(self.descriptor, length, access=mmap.ACCESS_READ, offset=_OFFSET)

    def close(self) -> None:
        """Let go of it; bodies that were taken stay."""
        self._memory.close()
        os.close(self.descriptor)


def _nameless_file(length: int) -> int:
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(length)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("results", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(descriptor, length)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return descriptor
