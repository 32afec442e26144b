"""The breaker: a UDF version that crashes or breaks limits again and again rests for a while."""

import time
from typing import Final

from cachetools import LRUCache

from tileserver.errors import UdfSuspendedError

CRASHES: Final = 5
WINDOW_SECONDS: Final = 60
REST_SECONDS: Final = 30


class Breaker:
    """Counts by version; the same job again is counted once."""

    def __init__(self) -> None:
        self._crashes: LRUCache[str, dict[str, float]] = LRUCache(1000)
        self._resting: LRUCache[str, float] = LRUCache(1000)

    def check(self, digest: str) -> None:
        """Raises UdfSuspendedError while the version rests."""
        if self._resting.get(digest, 0.0) > time.monotonic():
            raise UdfSuspendedError(f"{CRASHES} runs crashed or broke a limit within a minute")

    def count(self, digest: str, job: str) -> None:
        """Note that a job crashed or broke a limit; `job` tells one from another."""
        now = time.monotonic()
        recent = {key: at for key, at in self._crashes.get(digest, {}).items() if now - at < WINDOW_SECONDS}
        self._crashes[digest] = recent | {job: now}
        if len(self._crashes[digest]) >= CRASHES:
            self._resting[digest] = now + REST_SECONDS
            del self._crashes[digest]
