"""What the disk tier holds, which only a look at every file says: of many who ask one looks, and not all the time."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from tileserver.tilecache.flights import Flights

_REST: Final = 10
"""Times as long as a look took, what it found is told: looks take a tenth of a core at most."""


class Usage:
    """Of one process."""

    def __init__(self, look: Callable[[], tuple[int, int]]) -> None:
        """Args: look: gives bytes and entries, and may take long."""
        self._look = look
        self._flights = Flights[None]()
        self._found = (0, 0)
        self._until = -math.inf

    async def told(self) -> tuple[int, int]:
        """Bytes and entries; of a hundred thousand entries, as they were some three seconds ago at most."""
        if time.monotonic() >= self._until:
            await self._flights.join("look", self._looked)
        return self._found

    async def _looked(self) -> None:
        began = time.monotonic()
        self._found = await asyncio.to_thread(self._look)
        ended = time.monotonic()
        self._until = ended + _REST * (ended - began)
