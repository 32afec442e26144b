"""PostgreSQL for tests: a server of its own in a folder, on a socket there; Debian's `postgresql`."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda place: int(place.parts[-3]))
needs_postgres = pytest.mark.skipif(not _FOUND, reason="postgresql is not installed")
_SETTINGS = ("listen_addresses=''", "fsync=off", "max_connections=200")


class Postgres:
    """A server."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder, self._user = folder, user
        self._count = 0

    def start(self) -> None:
        """And wait until it answers."""
        options = " ".join(f"-c {each}" for each in _SETTINGS) + f" -k {self._folder}"
        self._control("-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """As a crash would."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        _run(self._user, "pg_ctl", "-D", str(self._folder / "data"), *arguments)

    def database(self) -> str:
        """The address of a new one."""
        self._count += 1
        name = f"registry_{self._count}"
        self.ask(f"CREATE DATABASE {name}", "postgres")
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def ask(self, statement: str, database: str) -> str:
        """What a statement gives, of one column."""
        where = ("-h", str(self._folder), "-U", "postgres", "-d", database)
        command = ("psql", *where, "-X", "-A", "-t", "-c", statement)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server, which ends with the block."""
    folder = Path(tempfile.mkdtemp())
    user = _owner(folder)
    server = Postgres(folder, user)
    try:
        _run(user, "initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner(folder: Path) -> str | None:
    """Who the server runs as: it refuses to be root."""
    if os.getuid():
        return None
    entry = pwd.getpwnam("postgres")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    folder.chmod(0o755)
    return "postgres"


def _run(user: str | None, program: str, *arguments: str) -> None:
    command = [str(_FOUND[-1].with_name(program)), *arguments]
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")
