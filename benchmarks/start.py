"""Measures: from `serve` to `ready`, the first tile of a cold UDF, and the memory of server, nursery and worker.

python benchmarks/start.py [ROUNDS]
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path


def main(rounds: int) -> None:
    """Start a server a few times, each with a data directory of its own."""
    rows = [once() for _ in range(rounds)]
    ready, tile, warm = (statistics.median(each) for each in list(zip(*rows, strict=True))[:3])
    print(f"serve to ready {ready:.2f} s, first tile behind it {tile:.2f} s, of a cold UDF later {warm * 1000:.0f} ms")
    print("proportional memory, MB: " + ", ".join(f"{name} {size:.0f}" for name, size in rows[-1][3]))


def once() -> tuple[float, float, float, list[tuple[str, float]]]:
    """Seconds to ready, to the first tile behind it, to another UDF's first tile; and memory by process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tileserver", "serve", "examples", "--port", "8313", "--data-dir", folder]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            tokens = printed_tokens(process)
            ready = time.perf_counter()
            fetch(tokens["mandelbrot"])
            first = time.perf_counter()
            fetch(tokens["relief"])
            second = time.perf_counter()
            sizes = memory(process.pid)
        finally:
            process.terminate()
            process.wait()
    return ready - began, first - ready, second - first, sizes


def printed_tokens(process: subprocess.Popen) -> dict[str, str]:
    """The token of each UDF, read until the server says that it is ready."""
    tokens = {}
    for line in process.stdout:
        if match := re.match(r"  (\w+) .*/(fsh_[\w-]+)", line):
            tokens[match[1]] = match[2]
        if line == "ready\n":
            break
    return tokens


def fetch(token: str) -> None:
    """One tile."""
    with urllib.request.urlopen(f"http://127.0.0.1:8313/tiles/{token}/3/4/2.png") as answer:
        answer.read()


def memory(pid: int) -> list[tuple[str, float]]:
    """Megabytes, shared pages counted in proportion, of the server and of what it started."""
    tree = [pid]
    for each in tree:
        tree += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    living = [each for each in tree if size(each)]
    return list(zip(["server", "nursery", *["worker"] * len(tree)], map(size, living), strict=False))


def size(pid: int) -> float:
    """Megabytes of proportional set size; 0 for a process that has just ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
