"""PostgreSQL for tests: a server of its own in a folder, on a socket there; Debian's `postgresql`."""

import contextlib
import os
import pwd
import shutil
import signal
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

    def stop(self, mode: str = "immediate") -> None:
        """As a crash would, or as it is told to."""
        self._control("-w", "-m", mode, "stop")

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """With all that is connected."""
        first = (self._folder / "data" / "postmaster.pid").read_text().split()[0]
        pids = [int(first), *map(int, self.ask("SELECT pid FROM pg_stat_activity", "postgres").split())]
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def end_sessions(self, address: str) -> None:
        """Of all who are connected to a database."""
        others = f"datname = '{self.name(address)}' AND pid <> pg_backend_pid()"
        ended = f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE {others}"
        assert int(self.ask(ended, "postgres")) > 0

    def name(self, address: str) -> str:
        """Of the database there."""
        return address.partition("?")[0].rpartition("/")[2]

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


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _run(user: str | None, program: str, *arguments: str) -> None:
    command = [str(_FOUND[-1].with_name(program)), *arguments]
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")
