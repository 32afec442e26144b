"""Who of the processes on one data directory holds the pool: whoever has the lock, which the dead lose at once.

Holder and others meet at a socket beside it.
"""

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from typing import Final

LOCK: Final = "pool.lock"
SOCKET: Final = "pool.sock"
_LONGEST: Final = 100
"""Bytes of a socket's path, of which systems allow 104 to 108."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted; each job of a burst makes one. The kernel may allow fewer."""


class Election:
    """One process's part in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._lock = -1

    @property
    def won(self) -> bool:
        """Whether this process has the lock."""
        return self._lock >= 0

    @property
    def address(self) -> str:
        """The path of the socket; by way of a descriptor where the folder's own is too long."""
        plain = str(self._folder.absolute() / SOCKET)
        return plain if len(os.fsencode(plain)) <= _LONGEST else f"/proc/self/fd/{self._descriptor}/{SOCKET}"

    def run(self) -> bool:
        """Try to get the lock; whether this process has it now."""
        if self.won:
            return True
        descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        self._lock = descriptor
        return True

    def listen(self) -> socket.socket:
        """The socket that the others connect to, in the place of what a dead holder left; for this user only."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._unlink()
            listener.bind(self.address)
            (self._folder / SOCKET).chmod(0o600)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener

    def resign(self) -> None:
        """Let another have it."""
        if self.won:
            self._unlink()
            os.close(self._lock)
            self._lock = -1

    def close(self) -> None:
        """Take no more part."""
        self.resign()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self._folder / SOCKET).unlink()
