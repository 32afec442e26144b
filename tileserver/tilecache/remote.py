"""A tier that servers share. It may be slow, gone, or lie: that costs misses, never an answer and never much time."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from tileserver.tilecache.entry import Entry, harmless, is_possible, read, write
from tileserver.tilecache.keys import Key, path, slot
from tileserver.tilecache.stores import OBJECTS, REDIS, Store, first_line, opened, refusals

_LOG: Final = logging.getLogger("tileserver.tilecache")
SHUT_SECONDS: Final = 5.0
"""For which a store is left alone that failed."""
_SECONDS: Final = 0.02
_OBJECT_SECONDS: Final = 1.0
"""Of an object store, which takes longer, and less than most functions."""
_BYTES_A_SECOND: Final = 10 * 10**6
"""Of an object store, at least."""
LARGEST: Final = 2**20 - 2**10
"""Bytes of an entry in a store that keeps them in memory: Memcached has a mebibyte for it, its key and its own head."""
_OBJECT_LARGEST: Final = 2**29
_LARGE: Final = 2**20
"""Bytes that take the loop a millisecond."""
_SEPARATOR: Final = b"\n"
P = ParamSpec("P")
T = TypeVar("T")


class Guard:
    """Operations on something far away: each has little time, and after one that fails none is tried for a while.

    Where the store itself says no, which takes no time, the next one is tried: it may be of another key.
    """

    def __init__(self, address: str, seconds: float) -> None:
        parts = urlsplit(address)
        self._place = f"{parts.scheme}://{parts.hostname or parts.path}"  # no secrets for the log
        self._seconds, self._refusals = seconds, refusals(parts.scheme)
        self._shut_until = self._told_until = 0.0
        self.failures = 0

    async def tried(self, operation: Callable[[], Awaitable[T]], more: float = 0.0) -> T | None:
        """What it gives; None where it fails or takes too long, and while nothing is tried.

        Args:
            more: seconds that it may take beyond the usual.
        """
        if time.monotonic() < self._shut_until:
            return None
        try:
            async with _within(self._seconds + more):
                return await operation()
        except Exception as error:  # of whatever library: trouble with a cache is a miss
            self._failed(error)
            return None

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        now, refused = time.monotonic(), isinstance(error, self._refusals)
        if now >= self._told_until:
            what = "refuses something" if refused else "is left alone for some seconds"
            _LOG.warning("the cache at %s %s: %s", self._place, what, _words(error))
            self._told_until = now + SHUT_SECONDS
        if not refused:
            self._shut_until = now + SHUT_SECONDS


class RemoteTier:
    """Entries in a store. What is stored begins with its own key: an answer to another question is none."""

    def __init__(self, address: str) -> None:
        """Raises SetupError where there is no such store."""
        parts, self.address = urlsplit(address), address
        self.kind = "objects" if parts.scheme in OBJECTS else "redis" if parts.scheme in REDIS else parts.scheme
        """As `Cache-Status` names it."""
        self._store: Store = opened(address)
        objects = self.kind == "objects"
        self._largest = _OBJECT_LARGEST if objects else LARGEST
        self._pace = 1 / _BYTES_A_SECOND if objects else 0.0
        """Seconds that each byte may take beyond the usual."""
        self._name = path if objects else slot
        self.guard = Guard(address, _OBJECT_SECONDS if objects else _SECONDS)

    @property
    def failures(self) -> int:
        """Operations that failed or took too long."""
        return self.guard.failures

    async def get(self, key: Key, *, large: bool = False) -> Entry | None:
        """The entry, if it is there and whole.

        Args:
            large: whether it may be a block, which takes its time.
        """
        name = self._name(key)
        stored = await self.guard.tried(lambda: self._store.get(name), self._pace * self._largest if large else 0.0)
        return await _aside(stored, _unpacked, name, stored) if isinstance(stored, bytes) else None

    async def put(self, key: Key, entry: Entry, seconds: int) -> None:
        """Store an entry, if there is room for its size."""
        if len(entry.body) > self._largest:
            return
        name = self._name(key)
        stored = await _aside(entry.body, _packed, name, entry)
        if len(stored) <= self._largest:
            await self.guard.tried(lambda: self._store.set(name, stored, seconds), self._pace * len(stored))

    async def close(self) -> None:
        """Let go of connections."""
        await ended(self._store.close)


@contextlib.asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError after so long, and where the loop itself comes late as much later, at most as long again.

    A loop that was busy meanwhile has not read yet what came in time.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds

    def end() -> None:
        limit.reschedule(loop.time() + min(loop.time() - due, seconds))

    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(due, end)
        try:
            yield
        finally:
            timer.cancel()


def _packed(name: str, entry: Entry) -> bytes:
    return b"".join((name.encode(), _SEPARATOR, write(entry)))  # which lets other threads go on


def _unpacked(name: str, stored: bytes) -> Entry | None:
    own = name.encode() + _SEPARATOR
    found = read(memoryview(stored)[len(own) :]) if stored.startswith(own) else None
    if found is None or not is_possible(found.facts, found.body):
        return None
    return Entry(facts=harmless(found.facts), body=found.body)


async def _aside(body: bytes, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What it gives, in a thread where it goes over many bytes."""
    if len(body) > _LARGE:
        return await asyncio.to_thread(work, *arguments, **named)
    return work(*arguments, **named)


async def ended(close: Callable[[], Awaitable[None]]) -> None:
    """Close something far away, as far as that can be done."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_OBJECT_SECONDS):
            await close()


def _words(error: Exception) -> str:
    return "it takes too long" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {first_line(error)}"
