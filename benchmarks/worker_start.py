"""Claim: a new UDF version's function begins within 60 ms, and an idle worker takes at most 45 MB of its own.

The pool and its nursery are warm. Each run is the first of a version that nobody has seen, so that it takes a new
worker; the function returns the time at which its first line ran, by the clock that all processes share. Printed are
median and p99 of the milliseconds from asking the pool to that line; and what workers that wait for their second job
hold, by /proc/PID/smaps_rollup: what they share with the nursery counts by the part of each. That takes root, since
workers hide their memory; without it, it is resident less shared pages of /proc/PID/statm, which counts them in full.

    python benchmarks/worker_start.py [VERSIONS]
"""

import gzip
import json
import os
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

CODE = """
import os, time
from tileserver import udf

@udf(kind="document")
def first():
    return {{"at": time.monotonic(), "pid": os.getpid()}}
# version {number}
"""
WORKERS, WARM_UP, IDLE = 2, 5, 8
"""Cores, versions that are not counted, and workers whose memory is read."""
PAGE = os.sysconf("SC_PAGE_SIZE")


async def main(versions: int) -> None:
    """Start and memory."""
    with tempfile.TemporaryDirectory() as scratch:
        pool = LocalExecutor(
            workers=WORKERS, limits=Limits(memory=10**9, scratch=10**9), environment={}, scratch=Path(scratch)
        )
        await pool.start()
        try:
            started = [await start(pool, number) for number in range(WARM_UP + versions)]
            report_times([milliseconds for milliseconds, _ in started[WARM_UP:]])
            report_memory([pid for _, pid in started[-IDLE:]])
        finally:
            await pool.close()


async def start(pool: LocalExecutor, number: int) -> tuple[float, int]:
    """Milliseconds from asking to the first line of a function that nobody has seen, and its process."""
    code = CODE.format(number=number)
    source = Source(digest=digest(code, {}), name="first", code=code, entry="first", path="first.py")
    job = Job(id=1, digest=source.digest, tile=None, arguments={}, output=Output(tiled=False), timeout=10, limit=10**6)
    asked = time.monotonic()
    rendered = await pool.run(job, source, group="")
    told = json.loads(gzip.decompress(rendered.body) if rendered.coding else rendered.body)
    return (told["at"] - asked) * 1000, told["pid"]


def report_times(times: list[float]) -> None:
    """Median and p99."""
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]
    print(
        f"from asking to the first line of {len(ordered)} versions: median {statistics.median(ordered):.1f} ms", end=""
    )
    print(f", p99 {p99:.1f} ms, least {ordered[0]:.1f} ms")


def report_memory(pids: list[int]) -> None:
    """What idle workers hold while there are so many."""
    found = [memory(pid) for pid in pids]
    for name in found[0]:
        held = sorted(each[name] for each in found)
        print(f"{len(held)} idle workers, {name}: median {statistics.median(held):.1f} MB, most {held[-1]:.1f} MB")


def memory(pid: int) -> dict[str, float]:
    """Megabytes, by what they are."""
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    except PermissionError:
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
        return {"resident less shared, since only root may see more": (resident - shared) * PAGE / 1e6}
    kilobytes = {words[0]: int(words[1]) for words in lines}
    own = kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"]
    return {"proportional set size": kilobytes["Pss:"] * 1024 / 1e6, "of that private": own * 1024 / 1e6}


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
