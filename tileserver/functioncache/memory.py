"""Results in this process: the same object each time, so also those that nobody could write to a file."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from tileserver.functioncache.store import Found

MOST: Final = 128
"""Results; those that were used longest ago go first."""


class Memory:
    """Of one process, and all its threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._locks: dict[str, tuple[threading.RLock, int]] = {}
        self._guard = threading.Lock()

    def read(self, key: str, max_age: float) -> Found | None:
        """The result under a key, not older than so many seconds."""
        with self._guard:
            value, created = self._found.get(key, (None, float("-inf")))
            if time.monotonic() - created > max_age:
                return None
            self._found.move_to_end(key)
            return Found(value)

    def write(self, key: str, value: Any) -> None:
        """Keep a result."""
        with self._guard:
            self._found[key] = value, time.monotonic()
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    @contextlib.contextmanager
    def locked(self, key: str, seconds: float) -> Iterator[None]:
        """While no other thread computes the same; after so many seconds it may."""
        with self._guard:
            lock, waiting = self._locks.get(key, (threading.RLock(), 0))
            self._locks[key] = lock, waiting + 1
        mine = lock.acquire(timeout=seconds)
        try:
            yield
        finally:
            if mine:
                lock.release()
            with self._guard:
                lock, waiting = self._locks.pop(key)
                if waiting > 1:
                    self._locks[key] = lock, waiting - 1
