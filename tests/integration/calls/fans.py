import asyncio
import time

from tileserver import run, run_async, udf


@udf(cache_max_age=0)
async def fans(count: int = 50, leaf: bool = False, number: int = 0, busy: float = 0.01):
    """Asks many at once, each of which computes for a moment."""
    if leaf:
        until = time.thread_time() + busy
        while time.thread_time() < until:
            pass
        return number
    calls = [run_async("fans", leaf=True, number=each, busy=busy) for each in range(count)]
    again = await asyncio.to_thread(run, "fans", leaf=True, number=-1)
    return [*await asyncio.gather(*calls), again]
