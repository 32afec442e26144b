"""Accounts, private tokens, sign-in links and sessions."""

import asyncio

import msgspec
import pytest

from tileserver.errors import ConflictError
from tileserver.registry import Registry
from tileserver.tokens import mint_private, mint_shared


def test_the_owner_is_made_once(run) -> None:
    """Also when two ask at once, and after a restart."""

    async def ask(first: Registry, second: Registry) -> list[str]:
        return [each.id for each in await asyncio.gather(*(one.accounts.owner() for one in (first, second) * 5))]

    ids = run(ask, 2) + run(ask, 2)
    assert len(set(ids)) == 1


def test_a_private_token_is_its_accounts(run) -> None:
    """Strangers' tokens, shared tokens and nonsense are nobody's."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        token = await registry.credentials.mint_private_token(owner.id)
        assert await registry.credentials.account_by_private_token(token) == owner
        for other in (mint_private(), mint_shared(), "", token + "a", "fpt_\udcff\x00", token[4:]):
            assert await registry.credentials.account_by_private_token(other) is None

    run(scenario)


def test_a_link_is_redeemed_once(run) -> None:
    """Of twenty who try at once in two processes, one has the session."""

    async def scenario(first: Registry, second: Registry) -> None:
        owner = await first.accounts.owner()
        code = await first.credentials.issue_link(owner.id)
        tries = await asyncio.gather(*(one.credentials.redeem_link(code) for one in (first, second) * 10))
        [secret] = [each for each in tries if each]
        assert await first.credentials.redeem_link(code) is None
        assert await second.credentials.account_by_session(secret) == owner
        assert await first.credentials.redeem_link(secret) is None
        await first.credentials.end_session(secret)
        assert await second.credentials.account_by_session(secret) is None

    run(scenario, 2)


def test_a_link_is_no_session_and_expires(run) -> None:
    """A code in a browser's cookie opens nothing, nor does one that waited too long."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        code = await registry.credentials.issue_link(owner.id)
        assert await registry.credentials.account_by_session(code) is None
        late = await registry.credentials.issue_link(owner.id, 0)
        assert await registry.credentials.redeem_link(late) is None
        assert await registry.credentials.redeem_link("") is None
        assert await registry.credentials.redeem_link(code)

    run(scenario)


def test_tokens_end_by_themselves_or_by_being_revoked(run) -> None:
    """All of an account's at once, sessions too; nobody else's."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        other = await registry.accounts.create("b@c", handle="b", name="B", team=None)
        known = registry.credentials.account_by_private_token
        kept = await registry.credentials.mint_private_token(other.id, 100)
        assert await known(await registry.credentials.mint_private_token(owner.id, 0)) is None
        tokens = [await registry.credentials.mint_private_token(owner.id, 100) for _ in range(3)]
        session = await registry.credentials.redeem_link(await registry.credentials.issue_link(owner.id))
        assert session
        assert [await known(each) for each in tokens] == [owner] * 3
        await registry.credentials.revoke(owner.id)
        assert [await known(each) for each in tokens] == [None] * 3
        assert await registry.credentials.account_by_session(session) is None
        assert await known(kept) == other

    run(scenario)


def test_an_address_and_a_handle_are_one_accounts(run) -> None:
    """Who is second reads which is taken; nothing is left of the attempt."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        made = await registry.accounts.create("b@c", handle="b", name="B", team="t")
        for email, handle, taken in (
            ("b@c", "x", "b@c"),
            ("x@c", "b", "b"),
            ("owner@localhost", "y", "owner@localhost"),
        ):
            with pytest.raises(ConflictError, match=f"'{taken}'"):
                await registry.accounts.create(email, handle=handle, name="", team=None)
        with pytest.raises(ConflictError, match="'owner'"):
            await registry.accounts.change(msgspec.structs.replace(made, handle="owner"))
        assert await registry.accounts.all() == [owner, made]
        assert await registry.accounts.by_email("B@C") == made
        assert await registry.accounts.by_email("x@c") is None

    run(scenario)


def test_a_team_is_one_environment(run) -> None:
    """Without one, each account has its own."""

    async def scenario(registry: Registry) -> None:
        one, two, alone = [
            await registry.accounts.create(f"{name}@c", handle=name, name=name, team=team)
            for name, team in (("a", "t"), ("b", "t"), ("c", None))
        ]
        assert one.environment_id == two.environment_id != alone.environment_id == alone.id

    run(scenario)
