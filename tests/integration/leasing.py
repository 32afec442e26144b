"""A server's part in a flight, as a process: `FOLDER STORE LOG REQUESTS SECONDS`. Each run is a line of the log.

It says `ready` when it is connected, and begins with a line on standard input.
"""

import asyncio
import os
import secrets
import sys
import time
from pathlib import Path

from tileserver.bans import Bans
from tileserver.tilecache import Entry, Facts, Flights, Key, Terms, TileCache, etag, remote

KEY = Key("a" * 26, 5, 3, 4)
TERMS = Terms(Bans(), 3600, "one")


async def connect(cache: TileCache) -> None:
    """Wait until store and leases answer in time, as they do not while programs start."""
    store, own = cache.beyond[0], KEY._replace(layer=secrets.token_hex(13))
    while True:
        before = store.failures
        await store.get(own)
        async with cache.lease(own, 60):
            pass
        if store.failures == before:
            return
        await asyncio.sleep(remote.SHUT_SECONDS)


async def main(folder: Path, store: str, log: Path, requests: int, seconds: float) -> None:
    """So many requests at once for one tile, whose run takes so long."""
    cache, flights = TileCache(folder, memory=10**6, disk=10**6, beyond=[store]), Flights[bytes]()

    async def fly() -> bytes:
        async with cache.lease(KEY, 60) as waited:
            found = await cache.find(KEY, TERMS) if waited else None
            if found is not None:
                return found.body
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            await asyncio.sleep(seconds)
            body = str(os.getpid()).encode()
            facts = Facts(media_type="image/png", coding="", etag=etag(body), created=time.time(), epoch=0)
            await cache.store(KEY, Entry(facts=facts, body=body), TERMS)
            return body

    await connect(cache)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    answers = await asyncio.gather(*(flights.join(KEY, fly) for _ in range(requests)))
    print(*{body.decode() for body, _ in answers})
    await cache.close()


if __name__ == "__main__":
    remote._SECONDS = 5.0  # on a machine that has something else to do; how long it may take is tested elsewhere
    place, address, runs, many, long = sys.argv[1:]
    asyncio.run(main(Path(place), address, Path(runs), int(many), float(long)))
