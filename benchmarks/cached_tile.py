"""Claim: a cached tile through `/tiles/...` reaches at least 0.85 of the requests per second of a bare ASGI app.

Both run under uvicorn with the same settings and return the same bytes and headers. The bare one is made from an answer
of ours. Rounds alternate; the ratio of medians is printed. Needs `wrk` (Debian package of the same name).

    python benchmarks/cached_tile.py [ROUNDS]
"""

import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from pathlib import Path

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


def rate(url: str) -> float:
    """Requests per second that wrk counts in three seconds over 16 connections."""
    printed = subprocess.run(["wrk", "-t1", "-c16", "-d3s", url], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])


def main(rounds: int) -> None:
    """Start both, measure in turn, print the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["serve", "examples/relief.py", "--port", "8311", "--data-dir", f"{folder}/data"]
        ours = subprocess.Popen([sys.executable, "-m", "tileserver", *arguments], stdout=subprocess.PIPE, text=True)
        token = next(match[1] for line in ours.stdout if (match := re.search(r"(fsh_[\w-]+)/map", line)))
        url = f"http://127.0.0.1:8311/tiles/{token}/6/33/21.png"
        bare = start_bare(wait(url), Path(folder), 8312)
        try:
            wait("http://127.0.0.1:8312/")
            report([(rate(url), rate("http://127.0.0.1:8312/")) for _ in range(rounds)])
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
    return subprocess.Popen([sys.executable, str(folder / "bare.py")])


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


def report(pairs: list[tuple[float, float]]) -> None:
    """Print the medians and their ratio."""
    ours, bare = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"cached tile {ours:8.0f}/s   bare {bare:8.0f}/s   ratio {ours / bare:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
