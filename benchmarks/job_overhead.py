"""Claim: what a job costs above the function itself, with a warm worker, is at most 0.5 ms at the median.

python benchmarks/job_overhead.py [RUNS]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tileserver.execution import LocalExecutor
from tileserver.frames import Limits
from tileserver.jobs import Job, Output, Source
from tileserver.udfs import digest

LIMITS = Limits(memory=10**9, scratch=10**9)
CODE = "from tileserver import udf\n@udf\ndef nothing(tile):\n    return None\n"


async def measure(runs: int) -> list[float]:
    """Milliseconds from asking to having, less what the function took, of each run."""
    source = Source(digest=digest(CODE, {}), name="nothing", code=CODE, entry="nothing", path="nothing.py")
    job = Job(
        id=1, digest=source.digest, tile=(0, 0, 0), arguments={}, output=Output(format="mvt"), timeout=10, limit=1000
    )
    with tempfile.TemporaryDirectory() as scratch:
        executor = LocalExecutor(workers=2, limits=LIMITS, environment={}, scratch=Path(scratch))
        await executor.start()
        try:
            await executor.run(job, source, group="")
            return [await once(executor, job, source) for _ in range(runs)]
        finally:
            await executor.close()


async def once(executor: LocalExecutor, job: Job, source: Source) -> float:
    """One run's cost in milliseconds."""
    began = time.perf_counter()
    rendered = await executor.run(job, source, group="")
    return (time.perf_counter() - began) * 1000 - rendered.udf_ms


if __name__ == "__main__":
    costs = sorted(uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)))
    print(
        f"job above the function: median {statistics.median(costs):.3f} ms, p99 {costs[len(costs) * 99 // 100]:.3f} ms"
    )
