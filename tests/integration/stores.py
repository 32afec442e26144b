"""Redis and Memcached for tests: programs of this machine, on sockets of their own."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
needs_memcached = pytest.mark.skipif(shutil.which("memcached") is None, reason="memcached is not installed")


@contextlib.contextmanager
def redis(folder: Path, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address, and its process."""
    place = folder / "redis.sock"
    where = ["--port", "0", "--unixsocket", str(place), "--dir", str(folder), "--save", ""]
    with _running(["redis-server", *where, *arguments], place) as process:
        yield f"unix://{place}", process


@contextlib.contextmanager
def memcached(folder: Path, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "root", "-P", str(folder / "memcached.pid")]
    with _running(["memcached", *where, *arguments], port) as process:
        yield f"memcached://127.0.0.1:{port}", process


@contextlib.contextmanager
def _running(command: list[str], place: Path | int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not _answers(place):
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(place: Path | int) -> bool:
    family, address = (socket.AF_INET, ("127.0.0.1", place)) if isinstance(place, int) else (socket.AF_UNIX, str(place))
    with socket.socket(family) as connection:
        return connection.connect_ex(address) == 0
