"""Registries of several hosts on one PostgreSQL: what one writes, the others see."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from postgresql import Postgres, needs_postgres, postgres
from sqlalchemy.exc import SQLAlchemyError

from tileserver.errors import BusyError, SetupError
from tileserver.registry import Registry, TokenOptions
from tileserver.tokens import Keyring

pytestmark = [pytest.mark.slow, needs_postgres]
Publish = Callable[..., Awaitable[object]]


@contextlib.asynccontextmanager
async def hosts(folder: Path, address: str, count: int = 2) -> AsyncIterator[list[Registry]]:
    """So many, each with a folder of its own."""
    folders = [folder / str(number) for number in range(count)]
    for each in folders:
        each.mkdir(exist_ok=True)
    found = await asyncio.gather(*(Registry.open(each, Keyring(bytes(32)), address) for each in folders))
    try:
        yield found
    finally:
        for each in found:
            await each.close()


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
                assert await each.lookup.load(made.token)
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
                assert await each.lookup.load(made.token) is None

    asyncio.run(check())


def test_what_was_not_heard_is_seen(tmp_path: Path, server: Postgres, publish: Publish) -> None:
    """Where the connection that listens has gone: one look fails, or none, and the next one finds it."""
    address = server.database()
    name = address.partition("?")[0].rpartition("/")[2]

    async def check() -> None:
        async with hosts(tmp_path, address) as (one, other):
            made = await publish(one)
            await other.look()
            assert (await other.lookup.load(made.token)).bans.epoch == 0
            others = "pid <> pg_backend_pid()"
            ended = (
                f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}' AND {others}"
            )
            assert int(server.ask(ended, "postgres")) > 0
            await one.clearings.everything(made.udf_id)
            for _ in range(2):
                with contextlib.suppress(Exception):
                    await other.look()
            assert (await other.lookup.load(made.token)).bans.epoch == 1
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
                with pytest.raises((*registry._database.errors, SQLAlchemyError)):
                    await registry.look()
                server.start()
                await registry.look()
                await registry.clearings.everything(made.udf_id)
                assert (await registry.lookup.load(made.token)).bans.epoch == 1

    asyncio.run(check())


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
