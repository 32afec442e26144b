"""Requests at a steady rate, whatever the answers do, from a process of its own.

As a program it reads one JSON object (see `_Sender`) and prints a JSON array for each answer; `Load` starts it.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """What one request was answered."""

    sent: float
    """time.monotonic() at which it was due."""
    seconds: float
    """From then to the last byte."""
    kind: int
    """Which of the paths."""
    status: int
    """0 where there was none."""
    digest: str
    """Of the body."""
    retry_after: str
    number: int
    """The requests of a load, counted."""


class Load:
    """Requests that go on until the end of the block."""

    def __init__(self, url: str, rate: float, *paths: str, first: int = 0, **headers: str) -> None:
        """Starts with the block.

        Args:
            rate: requests per second.
            paths: taken in turn; `{n}` in one is the number of the request, counted from `first`.
            headers: names with `_` for `-`.
        """
        self.answers: list[Answer] = []
        self._rate = rate
        request = {"url": url, "rate": rate, "paths": paths, "first": first, "headers": headers}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._begun = threading.Event()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.answers.append(Answer(*json.loads(line)))
            self._begun.set()

    def __enter__(self) -> Self:
        self._reader.start()
        assert self._begun.wait(60), "nothing is answered"
        return self

    def stop(self) -> None:
        """Send no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for the answers that are due."""
        assert self._process.stdout is not None
        self.stop()
        self._reader.join(60)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    @contextlib.contextmanager
    def during(self) -> Iterator[list[Answer]]:
        """The answers to what is sent within the block, in the list after it."""
        found, start = list[Answer](), time.monotonic()
        yield found
        end = time.monotonic()
        until, sent = end + 45, int((end - start) * self._rate) - 1
        while len(found) < sent:
            assert time.monotonic() < until, f"{sent - len(found)} of {sent} requests have no answer"
            time.sleep(0.05)
            found[:] = [answer for answer in self.answers if start <= answer.sent < end]


def percentile(answers: list[Answer], share: float) -> float:
    """Seconds within which this share was answered."""
    times = sorted(answer.seconds for answer in answers)
    return times[min(int(len(times) * share), len(times) - 1)]


class _Sender:
    """The program's side: connections are kept and used again; a request that finds none opens one."""

    def __init__(self, url: str, rate: float, paths: list[str], first: int, headers: dict[str, str]) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.host, self.port, self.rate, self.paths, self.first = host, int(port), rate, paths, first
        named = [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
        self.head = "\r\n".join([f"Host: {host}:{port}", "Accept-Encoding: gzip", *named])
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, ended: asyncio.Event) -> None:
        """Send at the rate until `ended`, then wait for the answers."""
        began, tasks = time.monotonic(), set[asyncio.Task[None]]()
        for number in itertools.count():
            due = began + number / self.rate
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), max(due - time.monotonic(), 0))
            if ended.is_set():
                break
            task = asyncio.create_task(self.ask(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=50)

    async def ask(self, number: int, due: float) -> None:
        """One request; what came of it is printed."""
        kind = number % len(self.paths)
        path = self.paths[kind].replace("{n}", str(self.first + number))
        status, retry_after, body = 0, "", b""
        with contextlib.suppress(OSError, EOFError):
            status, retry_after, body = await self.exchange(path)
        digest = hashlib.sha256(body).hexdigest()[:16]
        answer = Answer(due, time.monotonic() - due, kind, status, digest, retry_after, self.first + number)
        print(json.dumps(answer), flush=True)

    async def exchange(self, path: str) -> tuple[int, str, bytes]:
        """Status, Retry-After and body."""
        while self.free and self.free[-1][0].at_eof():  # the server lets go of a connection that has long been idle
            self.free.pop()[1].close()
        reader, writer = self.free.pop() if self.free else await asyncio.open_connection(self.host, self.port)
        writer.write(f"GET {path} HTTP/1.1\r\n{self.head}\r\n\r\n".encode())
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self.free.append((reader, writer))
        return int(lines[0].split()[1]), headers.get("retry-after", ""), body


async def _main() -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    loop.add_reader(sys.stdin.fileno(), ended.set)  # its end
    await _Sender(**request).run(ended)


if __name__ == "__main__":
    asyncio.run(_main())
