"""A real server for tests: `tileserver serve` in a process of its own, with a port and a data directory of its own."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tileserver.tokens import mint_private, read_keyring

UDFS = Path(__file__).parent / "udfs"
"""The folder of test UDFs."""


@dataclass
class Running:
    """A server that answers."""

    process: "subprocess.Popen[str]"
    data: Path
    lines: list[str] = field(default_factory=list)
    """What it printed so far."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        """Collect what the process prints, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append("<end>")
            self._changed.notify_all()

    def wait_for(self, pattern: str, *, start: int = 0, timeout: float = 40) -> re.Match[str]:
        """The first match in a line printed from line `start` on."""

        def found() -> re.Match[str] | None:
            matches = (re.search(pattern, line) for line in self.lines[start:])
            return next((match for match in matches if match), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or "<end>" in self.lines, timeout)
        match = found()
        assert match, f"no {pattern!r} in:\n" + "\n".join(self.lines)
        return match

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return json.loads((self.data / "credentials.json").read_text())["url"]

    @property
    def private_token(self) -> str:
        """The owner's."""
        return json.loads((self.data / "credentials.json").read_text())["token"]

    def token(self, name: str) -> str:
        """The first shared token of a UDF."""
        return self.wait_for(rf"^  {re.escape(name)} .*/(fsh_[A-Za-z0-9_-]{{43}})")[1]

    def client(self, **kwargs: Any) -> httpx.Client:
        """A client without credentials."""
        return httpx.Client(base_url=self.url, timeout=60, **kwargs)

    def owner(self) -> httpx.Client:
        """A client with the owner's private token."""
        return self.client(headers={"Authorization": f"Bearer {self.private_token}"})

    def stop(self) -> int:
        """End it as Ctrl-C would; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@contextlib.contextmanager
def serving(
    *paths: Path, data: Path, arguments: tuple[str, ...] = (), prefix: tuple[str, ...] = (), **environment: str
) -> Iterator[Running]:
    """A server over `paths` that has printed `ready`; `prefix` is a command that starts it."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "tileserver",
        "serve",
        *map(str, paths),
        "--port",
        "0",
        "--data-dir",
        str(data),
        *arguments,
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=kept | {"PYTHONUNBUFFERED": "1"} | environment,
        cwd=data.parent,
    )
    running = Running(process, data)
    reader = threading.Thread(target=running.follow, daemon=True)
    reader.start()
    try:
        running.wait_for("^ready$")
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(5)
        assert process.stdout is not None
        process.stdout.close()


def raw(running: Running, request: bytes) -> bytes:
    """What the server answers to bytes, up to where it closes."""
    import socket
    from urllib.parse import urlsplit

    where = urlsplit(running.url)
    with socket.create_connection((where.hostname, where.port), 20) as connection:
        connection.sendall(request)
        pieces = []
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)


def fetch(url: str) -> bytes:
    """The body at a URL."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def second_account(server: Running) -> str:
    """The private token of another account, b@c, which is made without asking the server."""
    token, key = mint_private(), read_keyring(server.data / "master.key")
    with contextlib.closing(sqlite3.connect(server.data / "registry.sqlite", timeout=20)) as registry:
        registry.execute("INSERT INTO account (id, email, handle, name, created) VALUES ('a2', 'b@c', 'b', 'B', 0)")
        registry.execute("INSERT INTO private_token (mac, account_id, created) VALUES (?, 'a2', 0)", (key.mac(token),))
        registry.commit()
    return token
