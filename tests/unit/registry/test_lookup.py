"""From token to UDF without waiting, and never from a memory that is out of date."""

import asyncio
import contextlib
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import event
from sqlalchemy.exc import ResourceClosedError

from tileserver.registry import UNKNOWN_YET, Registry, TokenOptions
from tileserver.tokens import Keyring, mint_shared


async def _known(registry: Registry, token: str) -> object:
    """What a request is given: from memory, else from the database."""
    found = registry.lookup.resolve(token)
    return await registry.lookup.load(token) if found is UNKNOWN_YET else found


def test_a_token_opens_its_udf_from_memory_after_the_first_request(run, publish) -> None:
    """Version, code, headers and the token's own flags; the second time without waiting."""

    async def scenario(registry: Registry) -> None:
        made = await publish(registry, kind="raster")
        assert registry.lookup.resolve(made.token) is UNKNOWN_YET
        grant = await registry.lookup.load(made.token)
        assert registry.lookup.resolve(made.token) is grant
        assert grant
        assert (grant.udf_id, grant.name, grant.digest, grant.code) == (made.udf_id, "hills", "d1", "# d1")
        assert (grant.headers, grant.record) == ({"sibling": "x = 1"}, "{}")
        assert (grant.kind, grant.file) == ("raster", "hills.py")
        assert (grant.cache, grant.shared_cache, grant.expose_errors, grant.epoch) == (True, False, False, 0)

    run(scenario)


def test_another_process_sees_every_change_at_its_next_request(run, publish) -> None:
    """Disabled, enabled, new version, learnt, withdrawn, deleted: `resolve` itself forgets, without a poll."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        made = await publish(ours)
        token, udf_id = made.token, made.udf_id
        changes = [
            (lambda: ours.shared_tokens.update_token(token, TokenOptions(enabled=False)), False),
            (lambda: ours.shared_tokens.update_token(token, TokenOptions(enabled=True)), True),
            (lambda: publish(ours, digest="d2"), True),
            (lambda: ours.publications.learn(udf_id, "d2", kind="vector", facts="{}"), True),
            (lambda: ours.publications.withdraw(udf_id), False),
            (lambda: publish(ours, digest="d3"), True),
            (lambda: ours.shared_tokens.delete_token(token), False),
        ]
        for change, opens in changes:
            before = await _known(theirs, token)
            seen = theirs.generation
            await change()
            assert theirs.generation != seen
            assert theirs.lookup.resolve(token) is UNKNOWN_YET
            after = await _known(theirs, token)
            assert bool(after) is opens
            assert after is None or after != before

    run(scenario, 2)


def test_what_opens_nothing_is_remembered_for_a_second(run) -> None:
    """Guessing costs the database one look a second for each token."""

    async def scenario(registry: Registry) -> None:
        token = mint_shared()
        registry.lookup.resolve(token)
        assert await registry.lookup.load(token) is None
        assert registry.lookup.resolve(token) is None
        await asyncio.sleep(1.1)
        assert registry.lookup.resolve(token) is UNKNOWN_YET

    run(scenario)


@pytest.mark.parametrize("token", ["", "fsh_", "a" * 60_000, "fsh_\udcff\x00" + "a" * 41, "fsh_'; DROP TABLE udf; --"])
def test_nonsense_opens_nothing(run, token: str) -> None:
    """Whatever its length and letters; `resolve` tells it without a look at the database."""

    async def scenario(registry: Registry) -> None:
        assert registry.lookup.resolve(token) is None
        assert await registry.lookup.load(token) is None

    run(scenario)


def test_a_read_that_began_before_a_change_is_not_kept(run, publish) -> None:
    """Loads and changes interleaved: what is in memory after an acknowledged change is never from before it."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        made = await publish(ours)
        for turn in range(40):
            reads = [asyncio.create_task(_known(theirs, made.token)) for _ in range(4)]
            await asyncio.sleep(turn % 5 * 0.0005)
            await ours.shared_tokens.update_token(made.token, TokenOptions(enabled=bool(turn % 2)))
            await asyncio.gather(*reads)
            assert bool(await _known(theirs, made.token)) is bool(turn % 2)

    run(scenario, 2)


@pytest.mark.parametrize("address", [""], ids=["a stranger writes to the file"])
def test_a_change_while_its_row_is_read_wins(run, publish, tmp_path: Path) -> None:
    """The change lands after the row was read, another request has noticed it, and only then the read ends."""

    async def scenario(ours: Registry) -> None:
        made = await publish(ours)
        ours.lookup.resolve(made.token)

        def change(connection: object, cursor: object, statement: str, *_: object) -> None:
            if not statement.startswith("SELECT"):
                return
            with contextlib.closing(sqlite3.connect(tmp_path / "registry.sqlite")) as stranger, stranger:
                stranger.execute("UPDATE shared_token SET enabled = 0")
            ours._generation.bump()
            assert ours.lookup.resolve(made.token) is UNKNOWN_YET

        engine = ours._database.engine.sync_engine
        event.listen(engine, "after_cursor_execute", change)
        assert await ours.lookup.load(made.token)
        event.remove(engine, "after_cursor_execute", change)
        assert ours.lookup.resolve(made.token) is UNKNOWN_YET
        assert await ours.lookup.load(made.token) is None

    run(scenario)


@pytest.mark.parametrize("address", [""], ids=["a stranger writes to the file"])
@pytest.mark.parametrize("unwatched", [False, True])
def test_a_change_that_nobody_announced_is_found_by_the_poll(run, publish, tmp_path: Path, unwatched: bool) -> None:
    """As of a process that died after its commit; also `generation` moves, since others memoise beside it.

    While a look has failed nobody watches, and what the next one sees tells nothing of what was before.
    """

    async def scenario(registry: Registry) -> None:
        made = await publish(registry)
        await registry.look()
        await registry.look()
        assert await _known(registry, made.token)
        before = registry.generation
        if unwatched:
            await registry._database._watch.close()
            with pytest.raises(ResourceClosedError):
                await registry.look()
        with sqlite3.connect(tmp_path / "registry.sqlite") as stranger:
            stranger.execute("UPDATE shared_token SET enabled = 0")
        stranger.close()
        assert registry.lookup.resolve(made.token)
        await registry.look()
        assert await _known(registry, made.token) is None
        assert registry.generation != before

    run(scenario)


def test_a_change_whose_caller_went_away_is_announced(run, publish) -> None:
    """A client that hangs up while its token is disabled: committed or not, memory and database agree afterwards."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        made = await publish(ours)
        for turn in range(30):
            await _known(theirs, made.token)
            change = asyncio.create_task(
                ours.shared_tokens.update_token(made.token, TokenOptions(enabled=bool(turn % 2)))
            )
            await asyncio.sleep(turn * 0.0002)
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
            kept = await ours.shared_tokens.token(made.token)
            assert kept
            assert bool(await _known(theirs, made.token)) is kept.enabled

    run(scenario, 2)


def test_the_generation_counts_every_process(run, publish, tmp_path: Path) -> None:
    """No bump is lost between two, and the number survives a restart."""

    async def scenario(first: Registry, second: Registry) -> int:
        made = await publish(first)
        before = first.generation
        await asyncio.gather(*(one.shared_tokens.create_token(made.udf_id) for one in (first, second) * 10))
        assert first.generation == second.generation >= before + 20
        return first.generation

    assert run(scenario, 2) == struct.unpack("<Q", (tmp_path / "registry.generation").read_bytes()[:8])[0]


def test_processes_that_bump_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two of them, a hundred thousand times each, from the same moment on."""
    script = (
        "import sys; from pathlib import Path; from tileserver.registry.generation import Generation\n"
        "word = Generation(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(100_000): word.bump()\nword.close()"
    )
    place = tmp_path / "registry.generation"
    command = [sys.executable, "-c", script, str(place)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as two,
    ):
        assert one.stdout.readline() == two.stdout.readline() == b"ready\n"
        for each in (one, two):
            each.stdin.write(b"go\n")
            each.stdin.flush()
    assert struct.unpack("<Q", place.read_bytes()[:8])[0] == 200_000


def test_another_master_key_opens_nothing(run, publish, tmp_path: Path) -> None:
    """The database alone gives no token away."""

    async def publish_one(registry: Registry) -> str:
        return (await publish(registry)).token

    async def with_another_key(token: str) -> None:
        registry = await Registry.open(tmp_path, Keyring(b"k" * 32))
        try:
            assert await _known(registry, token) is None
        finally:
            await registry.close()

    asyncio.run(with_another_key(run(publish_one)))


def test_a_teams_token(run, publish) -> None:
    """Opens nothing to who has only that; to the team it does, and caches on the way keep nothing of it."""

    async def scenario(registry: Registry) -> None:
        made, lookup = await publish(registry), registry.lookup
        owner = await registry.accounts.owner()
        other = await registry.accounts.create("b@c", handle="b", name="B", team="rivers")
        options = TokenOptions(access_scope="team", shared_cache=True)
        await registry.shared_tokens.update_token(made.token, options)
        assert await _known(registry, made.token) is None
        assert await lookup.load_for(made.token, other.id) is None
        for member in (owner, other):
            await registry.accounts.change(msgspec.structs.replace(member, team="rivers"))
        for member in (owner, other):
            grant = await lookup.load_for(made.token, member.id)
            assert grant
            assert (grant.udf_id, grant.shared_cache) == (made.udf_id, False)
        await registry.shared_tokens.update_token(made.token, TokenOptions(enabled=False))
        assert await lookup.load_for(made.token, owner.id) is None

    run(scenario)
