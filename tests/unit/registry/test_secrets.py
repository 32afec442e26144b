"""Secrets: kept sealed, each for its account and key only."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tileserver.errors import ConflictError, InvalidParameterError, SetupError
from tileserver.registry import Registry
from tileserver.registry.secrets import COUNT_LIMIT, VALUE_LIMIT
from tileserver.tokens import Keyring


@contextlib.contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(folder / "registry.sqlite")) as connection, connection:
        yield connection


def test_a_secret_is_kept_replaced_and_forgotten(run) -> None:
    """Another process sees each change at its next look; another account sees nothing."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        owner = await ours.accounts.owner()
        other = await ours.accounts.create("b@c", handle="b", name="B", team=None)
        assert await theirs.secrets.of(owner.id) == {}
        for value in ("first", "", "sécond\n" * 100):
            await ours.secrets.put(owner.id, "KEY", value)
            assert await theirs.secrets.of(owner.id) == {"KEY": value}
        await ours.secrets.put(owner.id, "A.b-c_1", "x")
        assert list(await theirs.secrets.of(owner.id)) == ["A.b-c_1", "KEY"]
        assert await theirs.secrets.of(other.id) == {}
        await ours.secrets.delete(owner.id, "KEY")
        assert await theirs.secrets.of(owner.id) == {"A.b-c_1": "x"}

    run(scenario, 2)


@pytest.mark.parametrize("key", ["", "1a", "a b", "a/b", "é", "a" * 129, "a\n", "$", "-a"])
def test_a_key_has_a_shape(run, key: str) -> None:
    """Such as an attribute and an address can have."""

    async def scenario(registry: Registry) -> None:
        with pytest.raises(InvalidParameterError):
            await registry.secrets.put((await registry.accounts.owner()).id, key, "v")

    run(scenario)


def test_limits(run) -> None:
    """Of a value's bytes, and of the number; one that is there may be replaced."""

    async def scenario(registry: Registry) -> None:
        owner = (await registry.accounts.owner()).id
        for value in ("a" * (VALUE_LIMIT + 1), "é" * (VALUE_LIMIT // 2 + 1), "\ud800"):
            with pytest.raises(InvalidParameterError) as refusal:
                await registry.secrets.put(owner, "k", value)
            assert value[:9] not in str(refusal.value)
        for number in range(COUNT_LIMIT):
            await registry.secrets.put(owner, f"k{number}", "v")
        with pytest.raises(ConflictError, match="delete one"):
            await registry.secrets.put(owner, "another", "v")
        await registry.secrets.put(owner, "k0", "a" * VALUE_LIMIT)
        assert len(await registry.secrets.of(owner)) == COUNT_LIMIT

    run(scenario)


def test_what_is_given_out_is_a_copy(run) -> None:
    """Who changes it changes nothing."""

    async def scenario(registry: Registry) -> None:
        owner = (await registry.accounts.owner()).id
        await registry.secrets.put(owner, "k", "v")
        (await registry.secrets.of(owner)).clear()
        assert await registry.secrets.of(owner) == {"k": "v"}

    run(scenario)


@pytest.mark.parametrize("address", [""], ids=["a stranger writes to the file"])
def test_a_value_is_bound_to_its_row(run, tmp_path: Path) -> None:
    """Copied to another account or key it cannot be read; nowhere in the files is it plain."""

    async def keep(registry: Registry) -> list[str]:
        owner = await registry.accounts.owner()
        other = await registry.accounts.create("b@c", handle="b", name="B", team=None)
        await registry.secrets.put(owner.id, "KEY", "what-nobody-sees")
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
        assert b"what-nobody-sees" not in content
        return [owner.id, other.id]

    owner, other = run(keep)
    with database(tmp_path) as connection:
        copy = "INSERT INTO secret SELECT ?, ?, sealed, updated FROM secret WHERE key = 'KEY' AND account_id = ?"
        connection.execute(copy, (other, "KEY", owner))

    async def read(registry: Registry) -> None:
        with pytest.raises(ValueError, match="sealed"):
            await registry.secrets.of(other)
        assert await registry.secrets.of(owner) == {"KEY": "what-nobody-sees"}

    run(read)


def test_another_master_key_is_noticed_by_secrets_too(run, tmp_path: Path) -> None:
    """Where there is no token yet."""

    async def keep(registry: Registry) -> None:
        await registry.secrets.put((await registry.accounts.owner()).id, "KEY", "v")
        await registry.check_key()
        registry.keyring = Keyring(b"k" * 32)
        with pytest.raises(SetupError, match="another master key"):
            await registry.check_key()

    run(keep)
