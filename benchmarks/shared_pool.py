"""Claim: a job that another server process runs costs at most 0.5 ms more at the median than one of its own.

The same job in turn over a pool of this process and over that of another, warm workers; then a large answer, and for
how long it keeps the loop from turning, the best of five.

    python benchmarks/shared_pool.py [RUNS]
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from tileserver.execution import Executor, LocalExecutor, SharedExecutor
from tileserver.frames import Limits
from tileserver.jobs import Job, Output, Source
from tileserver.udfs import digest

SMALL = "from tileserver import udf\n@udf\ndef small():\n    return b'x' * 20_000\n"
LARGE = "from tileserver import udf\n@udf\ndef large():\n    return b'x' * 200_000_000\n"


LIMITS = Limits(memory=10**9, scratch=10**9, tasks=64)


def shared(folder: Path) -> SharedExecutor:
    """A part in the pool of a folder."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return SharedExecutor(folder, lambda: LocalExecutor(workers=2, limits=LIMITS, environment={}, scratch=scratch))


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[SharedExecutor]:
    """One that runs."""
    executor = shared(folder)
    await executor.start()
    try:
        yield executor
    finally:
        await executor.close()


async def once(executor: Executor, code: str) -> float:
    """Milliseconds from asking to having, less what the function took."""
    name = "small" if code is SMALL else "large"
    source = Source(digest=digest(code, {}), name=name, code=code, entry=name, path=f"{name}.py")
    job = Job(
        id=1,
        digest=source.digest,
        tile=None,
        arguments={},
        output=Output(tiled=False),
        timeout=30,
        limit=10**9,
    )
    began = time.perf_counter()
    rendered = await executor.run(job, source, group="")
    return (time.perf_counter() - began) * 1000 - rendered.udf_ms - rendered.encode_ms


async def stall(executor: Executor) -> tuple[float, float]:
    """Milliseconds of a large answer, and of the longest time that the loop did not turn meanwhile."""
    worst = 0.0

    async def turn() -> None:
        nonlocal worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, (time.perf_counter() - before) * 1000 - 1)

    turning = asyncio.create_task(turn())
    took = await once(executor, LARGE)
    turning.cancel()
    return took, worst


async def measure(folder: Path, runs: int) -> None:
    """Print all figures."""
    async with started(folder / "own") as own, started(folder / "lent") as lent:
        both = {"own": own, "lent": lent}
        assert [each.stats().here for each in both.values()] == [True, False]
        for each in both.values():
            await once(each, SMALL)
        costs: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(runs):
            for name, each in both.items():
                costs[name].append(await once(each, SMALL))
        for name, each in costs.items():
            print(f"{name}: median {statistics.median(each):.3f} ms, p99 {sorted(each)[len(each) * 99 // 100]:.3f} ms")
        for name, each in both.items():
            took, worst = min([await stall(each) for _ in range(5)])
            print(f"{name}: 200 MB in {took:.0f} ms beside the function; the loop stood for {worst:.0f} ms at most")


async def hold(folder: Path) -> None:
    """Hold a pool until the parent goes."""
    async with started(folder):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main(runs: int) -> None:
    """A holder, and the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "hold", f"{folder}/lent"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            holder.stdout.readline()
            uvloop.run(measure(Path(folder), runs))
            holder.stdin.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        uvloop.run(hold(Path(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
