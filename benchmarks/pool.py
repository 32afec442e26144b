"""Claim: a job costs at most 0.3 ms above its function, and much less processor time than in the standard pool.

The function does nothing and returns 30 kB. Our pool and `concurrent.futures.ProcessPoolExecutor` have as many workers,
all warm, get the same job, and take turns, round by round. Printed are the medians over the rounds: milliseconds from
asking to having, less what the function took; and microseconds of processor time per job, of all processes: one after
the other, as many at once as there are workers, and four times as many, so that most wait.

Measured on two machines of two cores: the standard pool's processor time is 2.4 to 3.0 times ours with one job at a
time, 2.0 to 2.45 times with one per worker, and 1.6 to 2.2 times with four per worker.

    python benchmarks/pool.py [ROUNDS]
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import uvloop

from tileserver import processes
from tileserver.execution import LocalExecutor
from tileserver.frames import Limits
from tileserver.jobs import Job, Output, Source
from tileserver.udfs import digest

CODE = "from tileserver import udf\nBODY = bytes(30_000)\n@udf\ndef nothing():\n    return BODY\n"
BODY = bytes(30_000)
WORKERS, JOBS = 2, 2000
FIGURES = (
    ("above", "ms above the function"),
    ("slow", "ms, p99"),
    ("alone", "us of processor, one at a time"),
    ("busy", "us of processor, one per worker"),
    ("crowded", "us of processor, four per worker"),
)
Run = Callable[[], Awaitable[float]]
"""Runs one job; the milliseconds that its function took."""


class Round(NamedTuple):
    """What a job cost, without and with others beside it."""

    above: float
    """Milliseconds above the function, the median."""
    slow: float
    """The same, of 99 in 100."""
    alone: float
    """Microseconds of all processes' processor time, one job after the other."""
    busy: float
    """With as many under way as there are workers."""
    crowded: float
    """With four times as many."""


def nothing(_: Job) -> bytes:
    """The standard pool's function; it gets the job that ours get."""
    return BODY


async def main(rounds: int) -> None:
    """Both pools in turn."""
    loop = asyncio.get_running_loop()
    source = Source(digest=digest(CODE, {}), name="nothing", code=CODE, entry="nothing", path="nothing.py")
    job = Job(id=1, digest=source.digest, tile=None, arguments={}, output=Output(tiled=False), timeout=10, limit=10**6)
    with ProcessPoolExecutor(WORKERS) as standard, tempfile.TemporaryDirectory() as scratch:
        ours = LocalExecutor(
            workers=WORKERS, limits=Limits(memory=10**9, scratch=10**9), environment={}, scratch=Path(scratch)
        )
        await ours.start()

        async def in_ours() -> float:
            rendered = await ours.run(job, source, group="")
            assert len(rendered.body) == len(BODY)
            return rendered.udf_ms

        async def in_standard() -> float:
            assert len(await loop.run_in_executor(standard, nothing, job)) == len(BODY)
            return 0.0

        try:
            for run in (in_ours, in_standard):
                await together(run, 200, WORKERS)
            report([(await measure(in_ours), await measure(in_standard)) for _ in range(rounds)])
        finally:
            await ours.close()


async def measure(run: Run) -> Round:
    """One round."""
    before = processor_seconds()
    times = sorted([await once(run) for _ in range(JOBS)])
    after = processor_seconds()
    spent = [await together(run, JOBS, clients) for clients in (WORKERS, 4 * WORKERS)]
    return Round(statistics.median(times), times[JOBS * 99 // 100], (after - before) / JOBS * 1e6, *spent)


async def once(run: Run) -> float:
    """Milliseconds of one job above its function."""
    began = time.perf_counter()
    took = await run()
    return (time.perf_counter() - began) * 1000 - took


async def together(run: Run, jobs: int, clients: int) -> float:
    """So many jobs, several at a time: microseconds of processor time for each."""
    numbers = iter(range(jobs))

    async def client() -> None:
        for _ in numbers:
            await run()

    before = processor_seconds()
    await asyncio.gather(*(client() for _ in range(clients)))
    return (processor_seconds() - before) / jobs * 1e6


def processor_seconds() -> float:
    """User and system time so far of this process and all that descend from it, none of which ends meanwhile."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in processes.tree([os.getpid()]))  # clock_getcpuclockid(3)


def report(pairs: list[tuple[Round, Round]]) -> None:
    """Print the medians and their ratios."""
    for name, unit in FIGURES:
        ours, standard = (statistics.median(getattr(each, name) for each in side) for side in zip(*pairs, strict=True))
        print(f"ours {ours:8.3f}   standard {standard:8.3f} {unit}   ratio {standard / ours:.2f}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
