"""Hours in small: fifty requests per second, one in a hundred for a function that misbehaves, and nothing grows.

TILESERVER_SOAK_SECONDS says how long; .ci/full takes twenty minutes.
"""

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from load import Answer, Load
from processes import descriptors, memory, threads, tree, zombies
from publish import UDFS
from server import Running, serving

SECONDS = float(os.environ.get("TILESERVER_SOAK_SECONDS", "60"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(SECONDS) + 180)]
RATE, BAD_SHARE = 50, 0.01
BAD = [
    "raises",
    "exits",
    "aborts",
    "segfaults",
    "recurses",
    "devours",
    "enormous",
    "garbles",
    "closes",
    "patches",
    "moves",
    "ignores",
    "meddles",
    "lingers",
    "escapes",
    "opens",
    "floods",
    "hangs",
    "scatters",
    "crowds",
]


class Sample(NamedTuple):
    """The server at one moment."""

    memory: int
    descriptors: int
    threads: int
    processes: int
    """Those that it started included."""
    zombies: int


def sample(pid: int) -> Sample:
    return Sample(memory(pid), descriptors(pid), threads(pid), len(tree(pid)), zombies(pid))


def test_nothing_grows(tmp_path: Path) -> None:
    """Memory by less than 5 MB; descriptors, threads and processes not at all; no good request fails or changes."""
    files = [UDFS / f"{name}.py" for name in ("victim", "works", *BAD)]
    with serving(*files, data=tmp_path / "data", TILESERVER_CACHE_MEMORY="1MB") as running:  # a cache may grow
        bad = [f"{route(name).format(running.token(name))}?run={{n}}" for name in BAD]
        with (
            Load(running.url, RATE * (1 - BAD_SHARE), *good(running)) as load,
            Load(running.url, RATE * BAD_SHARE, *bad) as trouble,
        ):
            samples = watch(running)
        check_answers(load.answers)
        assert {answer.status for answer in trouble.answers} <= {200, 422, 500, 503, 504}
    early, late = compare(samples)
    print(f"{len(load.answers)} good and {len(trouble.answers)} bad requests; {early} then {late}")
    assert late.memory - early.memory < 5e6
    assert late.descriptors <= early.descriptors + 2
    assert late.threads <= early.threads + 1
    assert late.processes <= early.processes + 1
    assert late.zombies == 0


def route(name: str) -> str:
    """Where a function is asked for; as a file, thirty megabytes would not be too large."""
    return "/tiles/{}/9/1/2.png" if name == "enormous" else "/files/{}.json"


def good(running: Running) -> list[str]:
    """Ten tiles that are run each time, and two that are cached."""
    runs = [f"/tiles/{running.token('victim')}/9/{number}/7.png" for number in range(10)]
    return [*runs, *(f"/tiles/{running.token('works')}/9/{number}/7.png" for number in range(2))]


def watch(running: Running) -> list[Sample]:
    """A sample a second, once it is warm."""
    samples, end = [], time.monotonic() + SECONDS
    time.sleep(SECONDS / 10)
    while time.monotonic() < end:
        samples.append(sample(running.process.pid))
        time.sleep(1)
    return samples


def compare(samples: list[Sample]) -> tuple[Sample, Sample]:
    """The medians of the first and of the last fifth."""
    fifth = len(samples) // 5
    return median(samples[:fifth]), median(samples[-fifth:])


def median(samples: list[Sample]) -> Sample:
    """Of each figure by itself."""
    return Sample(*(int(statistics.median(column)) for column in zip(*samples, strict=True)))


def check_answers(answers: list[Answer]) -> None:
    """All there, and each tile always the same."""
    assert {answer.status for answer in answers} == {200}
    kinds = {(answer.kind, answer.digest) for answer in answers}
    assert len(kinds) == len({kind for kind, _ in kinds})
