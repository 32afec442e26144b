"""The file: made, migrated, refused, and still whole after a kill."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from tileserver.errors import SetupError
from tileserver.registry import Registry
from tileserver.registry.migrate import config
from tileserver.registry.schema import metadata
from tileserver.registry.shared_tokens import token_row
from tileserver.tokens import Keyring

WRITER = """
import asyncio, sys
from pathlib import Path
from tileserver.registry import Registry
from tileserver.tokens import Keyring

async def write():
    registry = await Registry.open(Path(sys.argv[1]), Keyring(bytes(32)))
    owner = await registry.accounts.owner()
    made = await registry.publications.publish(
        owner.id, name="hills", digest="d", code="", headers={}, record="{}", source="file", file="f", kind=None
    )
    while True:
        print((await registry.shared_tokens.create_token(made.udf_id)).token, flush=True)

asyncio.run(write())
"""

OPENER = """
import asyncio, sys
from pathlib import Path
from tileserver.registry import Registry
from tileserver.tokens import Keyring

async def main():
    await (await Registry.open(Path(sys.argv[1]), Keyring(bytes(32)))).close()

asyncio.run(main())
"""


@pytest.fixture
def address() -> str:
    """It is all about files here."""
    return ""


def _refused(folder: Path) -> str:
    with pytest.raises(SetupError) as refusal:
        asyncio.run(Registry.open(folder, Keyring(bytes(32))))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_the_migrated_schema_is_the_declared_one(run, tmp_path: Path) -> None:
    """Alembic finds nothing to add, drop or change."""
    run(_nothing)
    engine = create_engine(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_servers_that_start_at_once_migrate_once(tmp_path: Path, keyring: Keyring) -> None:
    """Each of four finds a whole registry, in one process or in four."""

    async def scenario() -> None:
        registries = await asyncio.gather(*(Registry.open(tmp_path, keyring) for _ in range(4)))
        assert len({(await each.accounts.owner()).id for each in registries}) == 1
        for each in registries:
            await each.close()

    asyncio.run(scenario())
    (tmp_path / "another").mkdir()
    servers = [subprocess.Popen([sys.executable, "-c", OPENER, str(tmp_path / "another")]) for _ in range(4)]
    assert [server.wait() for server in servers] == [0] * 4


def test_alembic_is_not_imported_for_a_current_registry(run, tmp_path: Path) -> None:
    """Start-up pays for it only once."""
    run(_nothing)
    script = OPENER + "sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 0


def test_a_registry_from_a_newer_version_is_refused(run, tmp_path: Path) -> None:
    """And left as it is."""
    run(_nothing)
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    message = _refused(tmp_path)
    assert "newer" in message
    assert "--data-dir" in message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """And left as it is."""
    (tmp_path / "registry.sqlite").write_bytes(b"somebody's notes " * 1000)
    assert "registry.sqlite" in _refused(tmp_path)
    assert (tmp_path / "registry.sqlite").read_bytes() == b"somebody's notes " * 1000


def test_a_refusal_is_all_that_is_printed(tmp_path: Path) -> None:
    """No thread of a connection that never was complains afterwards; twenty times, since it would be a race."""
    script = OPENER.replace("asyncio.run(main())", "from tileserver.errors import SetupError\n") + (
        "for _ in range(20):\n    try: asyncio.run(main())\n    except SetupError: pass\n    else: sys.exit('opened')"
    )
    (tmp_path / "file").touch()
    command = [sys.executable, "-W", "always", "-c", script, str(tmp_path / "file")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Here because a file stands in its place, or a directory where a file of ours should be."""
    (tmp_path / "file").touch()
    _refused(tmp_path / "file")
    (tmp_path / "blocked" / "registry.generation").mkdir(parents=True)
    _refused(tmp_path / "blocked")


def test_the_pragmas_that_durability_rests_on(run, tmp_path: Path) -> None:
    """On connections as the registry itself has them."""

    async def scenario(registry: Registry) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        async with registry._database.read() as connection:
            return {name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in names}

    assert run(scenario) == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}
    assert (tmp_path / "registry.sqlite").stat().st_mode & 0o777 == 0o600


def test_no_secret_is_in_the_files(run, publish, tmp_path: Path, keyring: Keyring) -> None:
    """Neither tokens nor codes nor sessions, not even without their prefix, in database, log and counter."""

    async def scenario(registry: Registry) -> list[str]:
        owner, made = await registry.accounts.owner(), await publish(registry)
        shared = await registry.shared_tokens.create_token(made.udf_id)
        private = await registry.credentials.mint_private_token(owner.id)
        code = await registry.credentials.issue_link(owner.id)
        session = await registry.credentials.redeem_link(await registry.credentials.issue_link(owner.id))
        await registry.lookup.load(shared.token)
        secrets = [shared.token, made.token, private, code, session]
        assert not _found(tmp_path, secrets)
        return secrets

    assert not _found(tmp_path, run(scenario))


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, keyring: Keyring, run) -> None:
    """SIGKILL between any two instructions of the writer; five times."""
    acknowledged: list[str] = []
    for turn in range(5):
        acknowledged += _tokens_before_the_kill(tmp_path, 3 + 4 * turn)

    async def scenario(registry: Registry) -> None:
        for token in acknowledged:
            assert await registry.shared_tokens.token(token)

    run(scenario)
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def _tokens_before_the_kill(folder: Path, count: int) -> list[str]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    with writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(count)]
        os.kill(writer.pid, signal.SIGKILL)
        lines += [line for line in writer.stdout if line.endswith("\n")]
    assert all(lines)
    return [line.strip() for line in lines]


def _found(folder: Path, secrets: list[str]) -> list[str]:
    content = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    return [secret for secret in secrets if secret.removeprefix("fsh_").removeprefix("fpt_").encode() in content]


async def _nothing(_: Registry) -> None:
    """Open and close."""


def test_a_registry_of_the_first_version_is_migrated(run, publish, tmp_path: Path, keyring: Keyring) -> None:
    """Nothing in it is lost, and the owner's functions are nobody else's."""
    first = create_engine(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    with first.begin() as connection:
        command.upgrade(config(connection), "0001")
        connection.exec_driver_sql("INSERT INTO account VALUES ('a1', 'owner@localhost', 'owner', 'Owner', 1)")
        connection.exec_driver_sql("INSERT INTO private_token VALUES (?, 'a1', 1)", (keyring.mac("fpt_x"),))
        connection.exec_driver_sql("INSERT INTO udf VALUES ('u1', 'a1', 'hills', 'd1', 'api', NULL, 1, 0, 0, 1, 1)")
        connection.exec_driver_sql("INSERT INTO udf_version VALUES ('u1', 'd1', '', '{}', '{}', NULL, NULL, 1)")
        token = token_row(keyring, "fsh_x", "u1", "a1", published=False)
        names = ", ".join(f":{name}" for name in token)
        connection.execute(text(f"INSERT INTO shared_token ({', '.join(token)}) VALUES ({names})"), token)
    first.dispose()

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        assert (owner.id, owner.team, owner.environment_id) == ("a1", None, "a1")
        assert await registry.credentials.account_by_private_token("fpt_x") == owner
        [stored] = await registry.publications.udfs("a1", 0, 10)
        assert (stored.name, stored.allow_public_read, stored.allow_public_list) == ("hills", False, False)
        [kept] = await registry.shared_tokens.tokens("a1", 0, 10)
        assert (kept.token, kept.access_scope, kept.public_read) == ("fsh_x", None, None)
        grant = await registry.lookup.load("fsh_x")
        assert grant and (owner.calls_per_day, kept.calls_per_day, grant.caps) == (None, None, ())
        await registry.secrets.put("a1", "k", "v")

    run(scenario)
    test_the_migrated_schema_is_the_declared_one(run, tmp_path)
