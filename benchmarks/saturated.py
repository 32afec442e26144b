"""Claim: with every worker busy and a full queue, a cached tile's p99 is at most 10 ms above what it is at rest.

A cached tile is asked for fifty times a second, first with nothing beside it, then while another process keeps 64 tiles
under way that each take a processor for 50 ms. Client, server and workers share the machine's processors.

    python benchmarks/saturated.py [SECONDS]
"""

import http.client
import itertools
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

CODE = """
import time
import numpy as np
from tileserver import udf

@udf(kind="raster", maxzoom=30)
def busy(tile, seconds: float = 0.0):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return np.full((tile.size, tile.size), 7, dtype=np.uint8)
"""
RATE, CLIENTS = 50, 64


def main(seconds: float) -> None:
    """At rest, then saturated."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "busy.py").write_text(CODE)
        arguments = ["serve", f"{folder}/busy.py", "--port", "8314", "--data-dir", f"{folder}/data"]
        server = subprocess.Popen([sys.executable, "-m", "tileserver", *arguments], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            token = next(match[1] for line in server.stdout if (match := re.search(r"(fsh_[\w-]+)/map", line)))
            base = f"http://127.0.0.1:8314/tiles/{token}"
            measure(f"{base}/3/1/2.png", 2)
            idle = measure(f"{base}/3/1/2.png", seconds)
            flood = subprocess.Popen([sys.executable, __file__, "flood", base])
            time.sleep(2)
            saturated = measure(f"{base}/3/1/2.png", seconds)
            flood.kill()
            flood.wait()
        finally:
            server.terminate()
            server.wait()
    for name, times in (("at rest", idle), ("saturated", saturated)):
        print(f"cached tile {name:9}: median {middle(times, 0.5):.2f} ms, p99 {middle(times, 0.99):.2f} ms")


def measure(url: str, seconds: float) -> list[float]:
    """Milliseconds from when each request is due to its last byte."""
    parts, times, began = urlsplit(url), [], time.perf_counter()
    client = http.client.HTTPConnection(parts.netloc)
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        time.sleep(max(due - time.perf_counter(), 0))
        client.request("GET", parts.path)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
        times.append((time.perf_counter() - due) * 1000)
    client.close()
    return sorted(times)


def middle(times: list[float], share: float) -> float:
    """The time within which this share was answered."""
    return times[int(len(times) * share)]


def flood(base: str) -> None:
    """Tiles that nobody asked for before, until killed."""
    parts, numbers = urlsplit(base), itertools.count()

    def client() -> None:
        connection = http.client.HTTPConnection(parts.netloc)
        while True:
            connection.request("GET", f"{parts.path}/20/{next(numbers)}/5.png?seconds=0.05")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                time.sleep(0.2)  # so that saying no is not what is measured

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    if sys.argv[1:2] == ["flood"]:
        flood(sys.argv[2])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
