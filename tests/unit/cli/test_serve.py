"""`serve` where it cannot start: one line on standard error, exit status 1, nothing left behind."""

import asyncio
import base64
import contextlib
import logging
import os
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tileserver import credentials, processes
from tileserver.cli.serve import serve
from tileserver.errors import SetupError
from tileserver.registry import Registry
from tileserver.tokens import Keyring

Prepare = Callable[[Path], "tuple[str, ...] | None"]
COMMAND = (sys.executable, "-m", "tileserver")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}


def port_in_use(folder: Path) -> tuple[str, ...]:
    HELD.append(socket.create_server(("127.0.0.1", 0)))
    return ("--port", str(HELD[0].getsockname()[1]))


HELD: list[socket.socket] = []


def data_is_a_file(folder: Path) -> None:
    (folder / "data").write_text("")


def logs_are_a_file(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "logs").write_text("")


def newer_registry(folder: Path) -> None:
    (folder / "data").mkdir()
    with contextlib.closing(sqlite3.connect(folder / "data" / "registry.sqlite")) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
        database.commit()


def corrupt_registry(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "registry.sqlite").write_bytes(b"no database " * 1000)


def half_a_registry(folder: Path) -> None:
    (folder / "data").mkdir()
    with contextlib.closing(sqlite3.connect(folder / "data" / "registry.sqlite")) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0001')")
        database.commit()


def key_readable_by_others(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "master.key").write_bytes(base64.b64encode(bytes(32)))
    (folder / "data" / "master.key").chmod(0o644)


def key_of_nothing(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "master.key").touch(0o600)


def bad_file(folder: Path) -> None:
    (folder / "tileserver.toml").write_text("port = [")


def unknown_in_file(folder: Path) -> None:
    (folder / "tileserver.toml").write_text("colour = 1")


def flags(*given: str) -> Prepare:
    return lambda _: given


CASES: dict[str, tuple[Prepare, str]] = {
    "port in use": (port_in_use, "Address already in use; use --host and --port"),
    "no such host": (flags("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid:0: "),
    "no host name": (flags("--host", "a." + "é" * 70), "this is no host name"),
    "no address of ours": (flags("--host", "2001:db8::1"), "cannot listen on [2001:db8::1]:0: "),
    "data directory is a file": (data_is_a_file, "data cannot be written: "),
    "data directory is unwritable": (flags("--data-dir", "/proc/here"), "/proc/here cannot be written: "),
    "logs are a file": (logs_are_a_file, "data cannot be written: "),
    "newer registry": (newer_registry, "was written by a newer version"),
    "corrupt registry": (corrupt_registry, "registry.sqlite cannot be used: file is not a database"),
    "half a registry": (half_a_registry, "cannot be used: no such table"),
    "key readable by others": (key_readable_by_others, "run: chmod 600 "),
    "key of nothing": (key_of_nothing, "holds no key of 32 bytes"),
    "bad file": (bad_file, "tileserver.toml cannot be read: "),
    "unknown in the file": (unknown_in_file, "setting 'colour'"),
    "no such path": (flags("no/such/path.py"), "no/such/path.py: there is no such file or folder"),
    "no port": (flags("--port", "70000"), "setting 'port'"),
    "endless workers": (flags("--workers", "inf"), "setting 'workers'"),
    "endless memory": (flags("--worker-memory", "9" * 400 + "TB"), "setting 'worker_memory'"),
    "no proxy": (flags("--trusted-proxies", "proxy"), "setting 'trusted_proxies"),
    "no public address": (flags("--public-url", "maps.example.org"), "setting 'public_url'"),
    "no host": (flags("--host", ""), "setting 'host'"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to start in; what a start changes in this process is put back."""
    for name in [name for name in os.environ if name.startswith("TILESERVER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    log, mask = logging.getLogger("tileserver.udf"), os.umask(0o022)
    yield tmp_path
    os.umask(mask)
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    for held in HELD:
        held.close()
    HELD.clear()


@pytest.mark.parametrize("name", CASES)
def test_what_prevents_a_start_is_said_in_one_line(here: Path, name: str) -> None:
    """What it is and what to do; nothing is left running."""
    prepare, words = CASES[name]
    paths, given = arguments(prepare(here) or ())
    before = processes.children()
    with pytest.raises(SetupError) as caught:
        serve(paths, reload=False, flags={"port": 0, "data_dir": Path("data"), **given})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert processes.children() == before


def arguments(given: tuple[str, ...]) -> tuple[list[Path], dict[str, Any]]:
    """Paths, and flags as the settings are called."""
    if not given or not given[0].startswith("--"):
        return [Path(each) for each in given], {}
    return [], {given[0][2:].replace("-", "_"): given[1]}


def started(folder: Path, *given: str) -> "subprocess.CompletedProcess[str]":
    folder.mkdir(exist_ok=True)
    command = (*COMMAND, "serve", "--port", "0", "--data-dir", "data", *given)
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, timeout=50, check=False)


@pytest.mark.parametrize("prepare", [port_in_use, newer_registry])
def test_a_start_that_fails_has_status_one(here: Path, prepare: Prepare) -> None:
    """One line on standard error, and no traceback."""
    told = started(here, *(prepare(here) or ()))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("tileserver: ")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("given", [("--colour", "red"), ("--port", "many")])
def test_wrong_usage_is_status_two(tmp_path: Path, given: tuple[str, ...]) -> None:
    """As every command line has it."""
    assert started(tmp_path / "here", *given).returncode == 2


def test_help_names_every_setting() -> None:
    """A flag each, and what it means."""
    shown = subprocess.run(
        (*COMMAND, "serve", "--help"), env=ENVIRONMENT | {"COLUMNS": "200"}, capture_output=True, text=True, check=True
    )
    for flag in ("--data-dir", "--port", "--workers", "--reload", "--trusted-proxies", "--cache-disk"):
        assert flag in shown.stdout


def test_another_master_key_is_noticed(tmp_path: Path) -> None:
    """Who lost the key reads what to do, not that a seal is broken."""

    async def with_key(key: bytes, *, publish: bool) -> None:
        registry = await Registry.open(tmp_path, Keyring(key))
        try:
            await registry.check_key()
            if publish:
                owner = await registry.accounts.owner()
                facts: dict[str, Any] = {"code": "", "headers": {}, "record": "{}", "source": "file", "file": None}
                await registry.publications.publish(owner.id, name="n", digest="d", kind=None, **facts)
                await registry.check_key()
        finally:
            await registry.close()

    asyncio.run(with_key(bytes(32), publish=True))
    with pytest.raises(SetupError, match="another master key"):
        asyncio.run(with_key(b"k" * 32, publish=False))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 5}', b"\xff", b'{"url": "http://a"}'])
def test_credentials_that_are_damaged_are_none(tmp_path: Path, content: bytes) -> None:
    """They are made anew at the next start."""
    (tmp_path / credentials.NAME).write_bytes(content)
    assert credentials.load(tmp_path) is None


def test_credentials_are_for_their_user_only(tmp_path: Path) -> None:
    """Also where a file with other rights was there before."""
    place = tmp_path / credentials.NAME
    place.touch(0o666)
    kept = credentials.Credentials("http://127.0.0.1:8000", "fpt_x")
    credentials.save(tmp_path, kept)
    assert credentials.load(tmp_path) == kept
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [credentials.NAME]
