"""Claim: what a look-up costs in each tier, that caps hold, and that a store that is stuck costs one wait.

In one process, medians: an entry of 20 kB found in memory, on disk, in Redis, Memcached and an object store (a folder),
each as a request that comes behind it sees it; the programs are those of this machine, on loopback. Redis is then
stopped while a thousand look-ups go on. At last distinct tiles of 600 bytes go through memory and disk with small
caps: the most that either held. What a cached tile costs over HTTP is in `cached_tile.py`, what blocks save in
`blocks.py`.

    python benchmarks/cache.py [TILES]
"""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))

from stores import memcached, redis

from tileserver.bans import Bans
from tileserver.tilecache import Entry, Facts, Key, Terms, TileCache, etag

TERMS = Terms(Bans(), 3600, "one")
KEYS = [Key("a" * 26, 10, x, 5) for x in range(200)]
EVERY = 20_000


def main(tiles: int) -> None:
    """The look-ups, the stopped store, the caps."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        asyncio.run(lookups(place))
        asyncio.run(caps(place / "caps", tiles))


def entry(body: bytes) -> Entry:
    return Entry(
        facts=Facts(media_type="image/png", coding="", etag=etag(body), created=time.time(), epoch=0), body=body
    )


async def lookups(place: Path) -> None:
    """Of every tier alone."""
    body = os.urandom(20_000)
    local = TileCache(place / "local", memory=10**8, disk=10**9)
    for key in KEYS:
        await local.store(key, entry(body), TERMS)

    async def in_memory(key: Key) -> object:
        return local.hit(key, TERMS)

    async def on_disk(key: Key) -> object:
        local.memory.drop(key)
        return await local.find(key, TERMS)

    await report("memory", in_memory)
    await report("disk", on_disk)
    with redis(place) as (address, process):
        await beyond(place / "redis", "Redis", address, body)
        await stuck(place / "stuck", address, process.pid)
    with memcached(place) as (address, _):
        await beyond(place / "memcached", "Memcached", address, body)
    await beyond(place / "objects", "object store in a folder", (place / "bucket").as_uri(), body)


async def beyond(place: Path, name: str, address: str, body: bytes) -> None:
    cache = TileCache(place, memory=0, disk=0, beyond=[address])
    for key in KEYS:
        await cache.beyond[0].put(key, entry(body), 3600)
    await report(name, lambda key: cache.find(key, TERMS))
    await cache.close()


async def report(name: str, find: Callable[[Key], Awaitable[object]]) -> None:
    times = []
    for key in KEYS * 5:
        began = time.perf_counter()
        assert await find(key) is not None, name
        times.append((time.perf_counter() - began) * 1e6)
    print(f"{name:26} {statistics.median(times):7.1f} microseconds", flush=True)


async def stuck(place: Path, address: str, pid: int) -> None:
    """A thousand look-ups of what nobody has, before and while Redis is stopped."""
    cache = TileCache(place, memory=10**6, disk=10**6, beyond=[address])
    missing = [Key("b" * 26, 12, x, 5) for x in range(1000)]
    worst = []
    for stopped in (False, True):
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        times = []
        for key in missing:
            began = time.perf_counter()
            async with cache.lease(key, 1):
                assert await cache.find(key, TERMS) is None
            times.append((time.perf_counter() - began) * 1000)
        worst.append((statistics.median(times), max(times)))
    os.kill(pid, signal.SIGCONT)
    (usual, most), (idle, wait) = worst
    print(f"a miss with a lease in Redis {usual:.2f} ms, at most {most:.1f}; with Redis stopped {idle:.2f}, {wait:.1f}")
    await cache.close()


async def caps(place: Path, tiles: int) -> None:
    """Look at both every so many tiles."""
    memory, disk = 20 * 10**6, 400 * 10**6
    cache = TileCache(place, memory=memory, disk=disk)
    most_memory = most_disk = 0
    kept, files, began = entry(os.urandom(600)), descriptors(), time.monotonic()
    for number in range(tiles):
        await cache.store(Key("c" * 26, 15, number % 32768, number // 32768), kept, TERMS)
        most_memory = max(most_memory, cache.memory.used)
        if number % EVERY == EVERY - 1:
            used, count = await asyncio.to_thread(cache.disk.usage)
            most_disk = max(most_disk, used)
    took, left = time.monotonic() - began, descriptors() - files
    print(
        f"{tiles:,} tiles in {took:.0f} s: memory at most {most_memory / memory:.3f} of its cap, disk at most "
        f"{most_disk / disk:.3f}, {count:,} files, {cache.disk.evicted:,} evicted, {left} descriptors more"
    )
    await cache.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
