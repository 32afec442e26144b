"""Results in this process: the same object each time, so also those that nobody could write to a file."""

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from tileserver.functioncache.store import Found
from tileserver.functioncache.turns import Turns

MOST: Final = 128
"""Results; those that were used longest ago go first."""


class Memory(Turns):
    """Of one process, and all its threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._turns: dict[str, object] = {}
        """Who computes, by key."""
        self._guard = threading.Lock()

    def read(self, key: str, max_age: float) -> Found | None:
        """The result under a key, not older than so many seconds."""
        with self._guard:
            value, created = self._found.get(key, (None, float("-inf")))
            if time.monotonic() - created > max_age:
                return None
            self._found.move_to_end(key)
            return Found(value)

    def write(self, key: str, value: Any) -> str:
        """Keep a result. Empty, as that cannot fail."""
        with self._guard:
            self._found[key] = value, time.monotonic()
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return ""

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[Callable[[], bool]]:
        """Of a thread or a task, which need not wait for itself."""
        me = _who()
        begun = self._turns.get(key) == me
        try:
            yield lambda: self._turns.setdefault(key, me) == me
        finally:
            if not begun and self._turns.get(key) == me:
                del self._turns[key]


def _who() -> object:
    """The task that runs, else the thread."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:  # no loop runs here
        return threading.get_ident()
