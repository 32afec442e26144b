"""What the disk tier holds is looked for once by many, and not again at once."""

import asyncio
import threading
import time

from tileserver.tilecache.usage import Usage


def test_many_who_ask_cause_one_look() -> None:
    """All of them wait for it, and who comes soon afterwards takes what it found."""
    looks, released = list[int](), threading.Event()

    def look() -> tuple[int, int]:
        looks.append(len(looks))
        assert released.wait(20)
        return 4096 * len(looks), len(looks)

    async def check() -> None:
        usage = Usage(look)
        asking = [asyncio.create_task(usage.told()) for _ in range(50)]
        while not looks:
            await asyncio.sleep(0)
        began = time.monotonic()
        while time.monotonic() < began + 0.1:
            await asyncio.sleep(0)
        released.set()
        assert set(await asyncio.gather(*asking)) == {(4096, 1)}
        assert await usage.told() == (4096, 1)
        while await usage.told() == (4096, 1):
            await asyncio.sleep(0.01)
        assert time.monotonic() > began + 1

    asyncio.run(check())


def test_a_quick_look_is_taken_anew() -> None:
    """What takes no time to see is told as it is."""
    there = [0]

    async def check() -> None:
        usage = Usage(lambda: (4096 * there[0], there[0]))
        assert await usage.told() == (0, 0)
        there[0] = 3
        while await usage.told() != (4096 * 3, 3):
            await asyncio.sleep(0)

    asyncio.run(check())
