"""Registries of several hosts on one PostgreSQL: what one writes, the others see."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from postgresql import Postgres, needs_postgres, postgres
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tileserver.errors import BusyError, InvalidParameterError, SetupError
from tileserver.registry import UNKNOWN_YET, Registry, TokenOptions
from tileserver.registry.postgres import _MIGRATING
from tileserver.tokens import Keyring

pytestmark = [pytest.mark.slow, needs_postgres]
Publish = Callable[..., Awaitable[object]]


@contextlib.asynccontextmanager
async def hosts(folder: Path, address: str, count: int = 2) -> AsyncIterator[list[Registry]]:
    """So many, each with a folder of its own."""
    folders = [folder / str(number) for number in range(count)]
    for each in folders:
        each.mkdir(exist_ok=True, parents=True)
    found = await asyncio.gather(*(Registry.open(each, Keyring(bytes(32)), address) for each in folders))
    try:
        yield found
    finally:
        for each in found:
            await each.close()


async def known(registry: Registry, token: str) -> Any:
    """What a request is given: from memory, else from the database."""
    found = registry.lookup.resolve(token)
    return await registry.lookup.load(token) if found is UNKNOWN_YET else found


async def looked(registry: Registry) -> None:
    """A second later: the first look may find that the connection has gone, and the next has another."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            await registry.look()


async def until_changed(registry: Registry, before: int) -> None:
    """Heard, and not looked for."""
    async with asyncio.timeout(20):
        while registry.generation == before:
            await asyncio.sleep(0.001)


def test_hosts_that_start_at_once_make_one_registry(tmp_path: Path, server: Postgres) -> None:
    """Of an empty database."""

    async def check() -> None:
        async with hosts(tmp_path, server.database(), 6) as found:
            assert len({(await each.accounts.owner()).id for each in found}) == 1

    asyncio.run(check())


def test_what_one_writes_the_others_hear(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """Tokens, and what was cleared; who wrote it drops nothing that it has read since."""

    async def check() -> None:
        async with hosts(tmp_path, server.database(), 3) as (one, *others):
            made = await publish(one)
            for each in (one, *others):
                assert await known(each, made.token)
            for change in (
                one.clearings.everything(made.udf_id),
                one.shared_tokens.update_token(made.token, TokenOptions(enabled=False)),
            ):
                before = [each.generation for each in others]
                await change
                own = one.generation
                await asyncio.gather(*map(until_changed, others, before))
                assert one.generation == own
            for each in others:
                assert await known(each, made.token) is None

    asyncio.run(check())


def test_what_was_not_heard_is_seen(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """Where the connection that listens has gone: one look fails, or none, and the next one finds it."""
    address = server.database()

    async def check() -> None:
        async with hosts(tmp_path, address) as (one, other):
            made = await publish(one)
            await other.look()
            assert (await known(other, made.token)).bans.epoch == 0
            server.end_sessions(address)
            await one.clearings.everything(made.udf_id)
            await looked(other)
            assert (await known(other, made.token)).bans.epoch == 1
            before = other.generation
            await one.clearings.everything(made.udf_id)
            await until_changed(other, before)

    asyncio.run(check())


def test_writers_take_turns(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """None is refused, and each clearing has an epoch of its own."""

    async def check() -> None:
        async with hosts(tmp_path, server.database(), 4) as found:
            made = await publish(found[0])
            await asyncio.gather(*(each.clearings.everything(made.udf_id) for each in found * 10))
            assert (await found[1].lookup.load(made.token)).bans.epoch == 40
            owners = await asyncio.gather(*(publish(each, name="new") for each in found * 3))
            assert len({each.udf_id for each in owners}) == 1

    asyncio.run(check())


def test_while_the_database_is_gone_what_is_known_opens(tmp_path: Path, publish: Publish) -> None:
    """All else is told to come again, and it goes on by itself when the database is back."""

    async def check() -> None:
        with postgres() as server:
            async with hosts(tmp_path, server.database(), 1) as [registry]:
                made = await publish(registry)
                registry.lookup.resolve(made.token)
                grant = await registry.lookup.load(made.token)
                server.stop()
                assert registry.lookup.resolve(made.token) is grant
                with pytest.raises(BusyError):
                    await registry.lookup.load(made.token)
                with pytest.raises(BusyError):
                    await registry.clearings.everything(made.udf_id)
                assert registry.lookup.resolve(made.token) is grant
                with pytest.raises((*registry._database.errors, SQLAlchemyError)):
                    await registry.look()
                server.start()
                await registry.look()
                await registry.clearings.everything(made.udf_id)
                assert (await registry.lookup.load(made.token)).bans.epoch == 1

    asyncio.run(check())


def test_a_restart_is_no_failure(tmp_path: Path, publish: Publish) -> None:
    """Of those who read and write all the while, each is served or told to come again, however the server ends."""

    async def check() -> None:
        with postgres() as server:
            async with hosts(tmp_path, server.database(), 1) as [registry]:
                made = await publish(registry)
                until = asyncio.Event()

                async def ask(work: Callable[[], Awaitable[object]]) -> int:
                    served = 0
                    while not until.is_set():
                        with contextlib.suppress(BusyError):
                            await work()
                            served += 1
                        await asyncio.sleep(0.01)
                    return served

                reads = [ask(lambda: registry.lookup.load(made.token)) for _ in range(12)]
                writes = [ask(lambda: registry.clearings.everything(made.udf_id)) for _ in range(6)]
                asking = asyncio.gather(*reads, *writes)
                for mode in ("fast", "immediate"):
                    await asyncio.sleep(0.3)
                    await asyncio.to_thread(server.stop, mode)
                    await asyncio.sleep(0.3)
                    await asyncio.to_thread(server.start)
                await registry.lookup.load(made.token)
                until.set()
                assert all(await asking)

    asyncio.run(check())


def test_a_host_that_stands_still_lets_the_others_go_on(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """In the middle of a transaction, which holds what all writers wait for; it finds out when it goes on."""

    async def check() -> None:
        async with hosts(tmp_path, server.database()) as (one, other):
            made = await publish(one)
            went_on = False
            with pytest.raises(BusyError):
                async with other._database.write() as connection:
                    with contextlib.suppress(BusyError):  # after five seconds, and it has four
                        await one.clearings.everything(made.udf_id)
                    await one.clearings.everything(made.udf_id)
                    went_on = True
                    await connection.execute(text("SELECT 1"))
            assert went_on

    asyncio.run(check())


def test_a_database_that_stands_still_keeps_nobody_long(tmp_path: Path, publish: Publish) -> None:
    """Nor at the end."""

    async def check() -> None:
        with postgres() as server:
            async with hosts(tmp_path, server.database(), 1) as [registry]:
                made = await publish(registry)
                with server.standing_still():
                    async with asyncio.timeout(20):
                        loads = (registry.lookup.load(made.token) for _ in range(40))
                        answers = await asyncio.gather(*loads, return_exceptions=True)
                    assert {type(each) for each in answers} == {BusyError}
                    async with asyncio.timeout(8):
                        await registry.close()

    asyncio.run(check())


def test_what_was_written_while_nobody_watched_is_seen(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """Though the count is as before: at a failover it may go back."""
    address = server.database()

    async def check() -> None:
        async with hosts(tmp_path, address) as (one, other):
            made = await publish(one)
            await looked(other)
            assert await known(other, made.token)
            server.end_sessions(address)
            server.ask("UPDATE change SET number = number - 1", server.name(address))
            await looked(one)
            await one.shared_tokens.update_token(made.token, TokenOptions(enabled=False))
            await looked(other)
            assert await known(other, made.token) is None

    asyncio.run(check())


def test_a_copied_data_directory_is_another_host(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """And hears of what the first one writes."""

    async def check() -> None:
        address = server.database()
        async with hosts(tmp_path / "first", address, 1) as [one]:
            made = await publish(one)
            shutil.copytree(tmp_path / "first", tmp_path / "copy")
            async with hosts(tmp_path / "copy", address, 1) as [other]:
                before = other.generation
                await one.clearings.everything(made.udf_id)
                await until_changed(other, before)

    asyncio.run(check())


def test_sessions_are_nobodys_business(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """What opens on others stays in their memory."""

    async def check() -> None:
        async with hosts(tmp_path, server.database()) as (one, other):
            await publish(one)
            await other.look()
            before = other.generation
            owner = await one.accounts.owner()
            await one.credentials.issue_link(owner.id)
            await one.credentials.mint_private_token(owner.id)
            await other.look()
            assert other.generation == before

    asyncio.run(check())


def test_who_comes_while_another_migrates_waits(tmp_path: Path, server: Postgres) -> None:
    """Longer than for any other answer."""
    address = server.database()
    held = f"BEGIN; SELECT pg_advisory_xact_lock({_MIGRATING}); SELECT pg_sleep(6)"

    async def check() -> None:
        other = asyncio.create_task(asyncio.to_thread(server.ask, held, server.name(address)))
        locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        while server.ask(locked, server.name(address)) == "0":
            await asyncio.sleep(0.01)
        async with hosts(tmp_path, address, 1) as [registry]:
            freed = time.monotonic()
            await other
            assert time.monotonic() - freed < 3  # of the six seconds
            assert (await registry.accounts.owner()).id

    asyncio.run(check())


def test_tables_may_be_replicated(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """All of them."""
    address = server.database()

    async def check() -> None:
        async with hosts(tmp_path, address, 1) as [registry]:
            server.ask("CREATE PUBLICATION everything FOR ALL TABLES", server.name(address))
            assert await publish(registry)

    asyncio.run(check())


def test_text_that_postgresql_has_no_place_for(tmp_path: Path, server: Postgres) -> None:
    """Is the caller's fault."""

    async def check() -> None:
        async with hosts(tmp_path, server.database(), 1) as [registry]:
            with pytest.raises(InvalidParameterError, match="NUL"):
                await registry.accounts.by_email("a\0@b")

    asyncio.run(check())


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:very[secret@127.0.0.1:1/none",
        "postgresql://u:very\u2100secret@127.0.0.1:1/none",
        "postgresql://u@127.0.0.1:1/none?password=very-secret",
        "postgresql://u:very-secret@127.0.0.1:1/none?sslmode=none",
        "postgresql://u:very-secret@127.0.0.1:1/none?sslrootcert=there",
        "postgresql://u:very-secret@127.0.0.1:99999/none",
        "postgresql:///none?host=/nowhere",
    ],
)
def test_addresses_that_cannot_be_used(tmp_path: Path, address: str) -> None:
    """One line, without the password."""
    with pytest.raises(SetupError) as refusal:
        asyncio.run(Registry.open(tmp_path, Keyring(bytes(32)), address))
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://nobody:very-secret@/none?host=/nowhere", "cannot be used"),
        ("postgresql://nobody:very-secret@127.0.0.1:1/none", "cannot be used"),
        ("postgresql://nobody:very-secret@127.0.0.1:none/none", "cannot be read"),
    ],
)
def test_where_there_is_none_a_sentence_says_so(tmp_path: Path, address: str, sentence: str) -> None:
    """Without the password."""
    with pytest.raises(SetupError, match=sentence) as refusal:
        asyncio.run(Registry.open(tmp_path, Keyring(bytes(32)), address))
    assert "very-secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_master_key_is_noticed(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """Before anything is sealed with it."""
    address = server.database()

    async def check() -> None:
        async with hosts(tmp_path, address, 1) as [registry]:
            await publish(registry)
        other = await Registry.open(tmp_path, Keyring(b"k" * 32), address)
        try:
            with pytest.raises(SetupError, match="another master key"):
                await other.check_key()
        finally:
            await other.close()

    asyncio.run(check())
