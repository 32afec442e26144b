"""One run per key among hosts: who makes an answer has a lease in Redis, renewed as long as it lives.

A lease saves work and guards nothing: where Redis is gone, or its holder stalls, the same is made twice.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

from tileserver.tilecache.keys import Key, slot
from tileserver.tilecache.remote import Guard, ended
from tileserver.tilecache.stores import redis

SECONDS: Final = 2.0
"""For which a lease holds that nobody renews."""
_SHORTEST, _LONGEST = 0.005, 0.1
"""Seconds between looks."""
_RELEASE: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_RENEW: Final = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
)
"""Of one's own only."""


class FarLeases:
    """Of one process; `Leases` sees to it that a host asks for a key once."""

    def __init__(self, address: str, guard: Guard) -> None:
        """Args: guard: of the tier that is there too: with it goes the other."""
        self._client: Any = redis(address)
        self._guard = guard

    @contextlib.asynccontextmanager
    async def held(self, key: Key, seconds: float) -> AsyncIterator[bool]:
        """While it is held, after so many seconds at most; gives whether somebody else had it before."""
        name, mark = f"l:{slot(key)}", secrets.token_hex(16)
        mine, waited = await self._taken(name, mark, seconds)
        renewal = asyncio.create_task(self._renew(name, mark)) if mine else None
        try:
            yield waited
        finally:
            if renewal is not None:
                renewal.cancel()
                await self._guard.tried(lambda: self._client.eval(_RELEASE, 1, name, mark))

    async def _taken(self, name: str, mark: str, seconds: float) -> tuple[bool, bool]:
        """Whether it is this process's now, and whether it was another's."""
        waited, pause, left = False, _SHORTEST, seconds
        while (mine := await self._guard.tried(lambda: self._take(name, mark))) is False and left > 0:
            waited = True
            await asyncio.sleep(pause)
            left -= pause
            pause = min(pause * (1 + random.random()), _LONGEST)  # noqa: S311 - no secret
        return bool(mine), waited

    async def _take(self, name: str, mark: str) -> bool:
        return bool(await self._client.set(name, mark, nx=True, px=int(SECONDS * 1000)))

    async def _renew(self, name: str, mark: str) -> None:
        while True:
            await asyncio.sleep(SECONDS / 3)
            await self._guard.tried(lambda: self._client.eval(_RENEW, 1, name, mark, int(SECONDS * 1000)))

    async def close(self) -> None:
        """Let go of connections; leases that are held end by themselves."""
        await ended(self._client.aclose)
