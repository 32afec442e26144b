"""One run per key on a host: who makes an answer locks its key's byte of a file, which others on the directory see.

The system unlocks what a process held when it ends, however it ends. A lease saves work and guards nothing: where it
cannot be had, the same is made twice.
"""

import asyncio
import contextlib
import fcntl
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tileserver.tilecache.keys import Key, number

_SHORTEST, _LONGEST = 0.002, 0.02
"""Seconds between looks."""
_PLACES: Final = 1 << 62
"""Bytes that can be locked, of a file that has none: two keys hardly ever meet."""


class Leases:
    """Of one process: inside of it, flights see to it that a key is asked for once."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._descriptor: int | None = None

    @contextlib.asynccontextmanager
    async def held(self, key: Key, seconds: float) -> AsyncIterator[bool]:
        """While it is held, after so many seconds at most; gives whether somebody else had it before."""
        at = number(key, _PLACES)
        waited, pause, left = False, _SHORTEST, seconds
        while not (mine := self._take(at)) and left > 0:
            waited = True
            await asyncio.sleep(min(pause, left))
            left -= pause
            pause = min(pause * (1 + random.random()), _LONGEST)  # noqa: S311 - no secret
        try:
            yield waited
        finally:
            if mine:
                with contextlib.suppress(OSError):
                    self._lock(fcntl.LOCK_UN, at)

    def _take(self, at: int) -> bool:
        """Whether nobody else has it; on a file system without locks nobody ever has."""
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, at)
        except (BlockingIOError, PermissionError):  # either, POSIX says
            return False
        except OSError:
            return True
        return True

    def _lock(self, how: int, at: int) -> None:
        if self._descriptor is None:
            self._place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._descriptor, how, 1, at)

    def close(self) -> None:
        """Let go of all."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
