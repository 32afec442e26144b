"""Claim: a cached tile reaches at least 0.85 of the requests per second of a bare ASGI app, and a 304 is not slower.

Both run under uvicorn with the same settings and return the same bytes and headers. The bare one is made from an answer
of ours; the third in turn asks ours with `If-None-Match`. Rounds alternate, servers on one processor and `wrk` (Debian
package of the same name) on another. Printed are the medians of requests per second and of the server's processor time
per request, which is steadier, and their ratios.

    python benchmarks/cached_tile.py [STARTS]
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BARE = """
import uvicorn
BODY = open({body!r}, "rb").read()
HEADERS = {headers!r}

async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": HEADERS}})
    await send({{"type": "http.response.body", "body": BODY}})

uvicorn.run(app, port={port}, http="httptools", loop="uvloop", access_log=False, server_header=False, date_header=False,
            lifespan="off", log_level="error", proxy_headers=False)
"""


class Round(NamedTuple):
    """Three seconds of wrk over 16 connections."""

    rate: float
    """Requests per second."""
    cost: float
    """Microseconds of the server's processor time per request."""


def measure(url: str, server: subprocess.Popen, etag: str = "") -> Round:
    """One round; with an `etag` of what is not asked for again."""
    before = processor_seconds(server.pid)
    command = ["wrk", "-t1", "-c16", "-d3s", *(["-H", f"If-None-Match: {etag}"] if etag else []), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=on(LAST)).stdout
    requests = int(re.search(r"(\d+) requests in", printed)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
    return Round(rate, (processor_seconds(server.pid) - before) / requests * 1e6)


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FIRST, *_, LAST = sorted(os.sched_getaffinity(0)) * 2


def on(processor: int) -> Callable[[], None]:
    """What a child runs to stay on one processor."""
    return lambda: os.sched_setaffinity(0, {processor})


def main(starts: int) -> None:
    """Measure in turn, with fresh processes each time: one is a tenth faster than the next."""
    report([pair for _ in range(starts) for pair in once()])


def once() -> list[tuple[Round, ...]]:
    """Both started, and three rounds of each."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["serve", "examples/relief.py", "--port", "8311", "--data-dir", f"{folder}/data"]
        ours = subprocess.Popen(
            [sys.executable, "-m", "tileserver", *arguments], stdout=subprocess.PIPE, text=True, preexec_fn=on(FIRST)
        )
        token = next(match[1] for line in ours.stdout if (match := re.search(r"(fsh_[\w-]+)/map", line)))
        url = f"http://127.0.0.1:8311/tiles/{token}/6/33/21.png"
        answer = wait(url)
        etag = next(value for name, value in answer[1] if name == b"etag").decode()
        bare = start_bare(answer, Path(folder), 8312)
        try:
            wait("http://127.0.0.1:8312/")
            urls = ((url, ours), ("http://127.0.0.1:8312/", bare), (url, ours, etag))
            return [tuple(measure(*each) for each in urls) for _ in range(3)]
        finally:
            ours.terminate()
            bare.terminate()
            ours.wait()
            bare.wait()


def start_bare(answer: tuple[bytes, list[tuple[bytes, bytes]]], folder: Path, port: int) -> subprocess.Popen:
    """The bare application with the bytes and headers of `answer`."""
    body, headers = answer
    (folder / "body").write_bytes(body)
    (folder / "bare.py").write_text(textwrap.dedent(BARE).format(body=str(folder / "body"), headers=headers, port=port))
    return subprocess.Popen([sys.executable, str(folder / "bare.py")], preexec_fn=on(FIRST))


def wait(url: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The answer at `url`, as soon as there is one; asked twice, so that it is a cached one."""
    for _ in range(200):
        try:
            for _ in range(2):
                with urllib.request.urlopen(url) as answer:
                    body = answer.read()
            headers = [(name.lower().encode(), value.encode()) for name, value in answer.getheaders()]
            return body, [each for each in headers if each[0] != b"connection"]  # urllib asked for it to be closed
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing answers at {url}")


def report(rounds: list[tuple[Round, ...]]) -> None:
    """Print the medians and their ratios."""
    for name, unit in (("rate", "requests/s"), ("cost", "us/request")):
        sides = zip(*rounds, strict=True)
        ours, bare, unchanged = (statistics.median(getattr(each, name) for each in side) for side in sides)
        print(f"cached tile {ours:8.1f}   bare {bare:8.1f} {unit}   ratio {ours / bare:.3f}", end="")
        print(f"   304 {unchanged:8.1f}   of a 200 {unchanged / ours:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
