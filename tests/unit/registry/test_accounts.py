"""Accounts, private tokens, sign-in links and sessions."""

import asyncio

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
        token = await registry.accounts.mint_private_token(owner.id)
        assert await registry.accounts.account_by_private_token(token) == owner
        for other in (mint_private(), mint_shared(), "", token + "a", "fpt_\udcff\x00", token[4:]):
            assert await registry.accounts.account_by_private_token(other) is None

    run(scenario)


def test_a_link_is_redeemed_once(run) -> None:
    """Of twenty who try at once in two processes, one has the session."""

    async def scenario(first: Registry, second: Registry) -> None:
        owner = await first.accounts.owner()
        code = await first.accounts.issue_link(owner.id)
        tries = await asyncio.gather(*(one.accounts.redeem_link(code) for one in (first, second) * 10))
        [secret] = [each for each in tries if each]
        assert await first.accounts.redeem_link(code) is None
        assert await second.accounts.account_by_session(secret) == owner
        assert await first.accounts.redeem_link(secret) is None
        await first.accounts.end_session(secret)
        assert await second.accounts.account_by_session(secret) is None

    run(scenario, 2)


def test_a_link_is_no_session_and_expires(run) -> None:
    """A code in a browser's cookie opens nothing, nor does one that waited too long."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        code = await registry.accounts.issue_link(owner.id)
        assert await registry.accounts.account_by_session(code) is None
        late = await registry.accounts.issue_link(owner.id, 0)
        assert await registry.accounts.redeem_link(late) is None
        assert await registry.accounts.redeem_link("") is None
        assert await registry.accounts.redeem_link(code)

    run(scenario)
