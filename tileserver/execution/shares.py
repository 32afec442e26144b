"""What the runs of each UDF version took lately: of a core, of time and of memory."""

from typing import Final

import msgspec
from cachetools import LRUCache

from tileserver import machine

LEAST: Final = 0.05
"""The weight of a job that only waits: twenty run per core."""
_WHOLE: Final = 1.25
"""Below it a job counts as one core: threads of libraries beside the main one are no second core."""
_CORES: Final = machine.cores()
_NEWEST: Final = 0.3
"""What the newest run counts against those before."""


class Share(msgspec.Struct):
    """Means, the newest runs counting most."""

    weight: float = 1.0
    """Cores that a run keeps busy, or would, were they free."""
    seconds: float = 0.1
    """How long a run takes."""
    memory: int = 0
    """Bytes at the peak of the largest run."""
    known: bool = False

    def learn(self, *, runnable: float, seconds: float, memory: int = 0) -> None:
        """Note a run.

        Args:
            runnable: seconds in which it computed or waited for a core.
        """
        part = _NEWEST if self.known else 1.0
        self.weight += part * (as_weight(runnable / max(seconds, 1e-6)) - self.weight)
        self.seconds += part * (seconds - self.seconds)
        self.memory = max(memory, self.memory)
        self.known = True


class Shares:
    """By UDF version; what has not run yet is taken to compute for a tenth of a second."""

    def __init__(self) -> None:
        self._shares: LRUCache[str, Share] = LRUCache(10_000)

    def of(self, digest: str) -> Share:
        """What is known."""
        share = self._shares.get(digest)
        if share is None:
            share = self._shares[digest] = Share()
        return share


def as_weight(share: float) -> float:
    """The weight of a job that keeps so many cores busy."""
    return max(min(share, _CORES) if share > _WHOLE else min(share, 1.0), LEAST)
