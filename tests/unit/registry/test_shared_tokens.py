"""Shared tokens as their owner manages them."""

import asyncio

import pytest
from msgspec import structs

from tileserver.caps import Cap
from tileserver.errors import NotFoundError
from tileserver.registry import Registry, TokenOptions
from tileserver.tokens import mint_shared


def test_a_token_is_made_read_changed_and_deleted(run, publish) -> None:
    """What is None in a change stays; what was deleted is gone for good."""

    async def scenario(registry: Registry) -> None:
        made = await publish(registry)
        token = await registry.shared_tokens.create_token(
            made.udf_id,
            TokenOptions(client_id="map", cache=False, metadata_json={"é": [1, None]}, access_scope="public"),
        )
        assert (token.access_scope, token.public_read, token.expose_errors) == ("public", None, False)
        assert (token.slug, token.email, token.client_id, token.cache) == ("hills", "owner@localhost", "map", False)
        assert token.metadata_json == {"é": [1, None]}
        assert await registry.shared_tokens.token(token.token) == token
        changed = await registry.shared_tokens.update_token(
            token.token, TokenOptions(enabled=False, cache=None, client_id=None)
        )
        assert changed
        assert (changed.enabled, changed.cache, changed.client_id) == (False, False, "map")
        assert changed.updated > token.updated
        assert await registry.shared_tokens.delete_token(token.token) == changed
        assert await registry.shared_tokens.token(token.token) is None
        assert await registry.shared_tokens.delete_token(token.token) is None
        assert await registry.shared_tokens.update_token(token.token, TokenOptions(enabled=True)) is None
        assert await registry.shared_tokens.token(mint_shared()) is None

    run(scenario)


def test_a_token_needs_a_udf(run) -> None:
    """Else not_found, and nothing is written."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        with pytest.raises(NotFoundError):
            await registry.shared_tokens.create_token("nowhere")
        assert await registry.shared_tokens.tokens(owner.id, 0, 10) == []

    run(scenario)


def test_tokens_come_in_pages_by_age(run, publish) -> None:
    """The publication's own token is the first; pages end, and strangers see nothing."""

    async def scenario(registry: Registry) -> None:
        owner, made = await registry.accounts.owner(), await publish(registry)
        names = ["one", "two", "three"]
        for name in names:
            await registry.shared_tokens.create_token(made.udf_id, TokenOptions(client_id=name))
        pages = [await registry.shared_tokens.tokens(owner.id, skip, 2) for skip in (0, 2, 4)]
        assert [[each.client_id for each in page] for page in pages] == [[None, "one"], ["two", "three"], []]
        assert await registry.shared_tokens.tokens("somebody else", 0, 10) == []

    run(scenario)


def test_many_at_once_are_all_kept(run, publish) -> None:
    """A hundred writers in two processes: none is refused by a busy database."""

    async def scenario(first: Registry, second: Registry) -> None:
        owner, made = await first.accounts.owner(), await publish(first)
        create = [one.shared_tokens.create_token(made.udf_id) for one in (first, second) * 50]
        tokens = {each.token for each in await asyncio.gather(*create)}
        kept = await second.shared_tokens.tokens(owner.id, 0, 1000)
        assert {each.token for each in kept} == tokens | {made.token}

    run(scenario, 2)


def test_a_token_for_the_team_opens_nothing_to_strangers(run, publish) -> None:
    """Its fields are kept as they were said; who has only the token is nobody whom the team knows."""

    async def scenario(registry: Registry) -> None:
        made = await publish(registry)
        for closed in (TokenOptions(access_scope="team"), TokenOptions(public_read=False)):
            token = await registry.shared_tokens.create_token(made.udf_id, closed)
            assert (token.access_scope, token.public_read) == (closed.access_scope, closed.public_read)
            assert await registry.lookup.load(token.token) is None
            assert await registry.lookup.opened(token.id) is None
            opened = TokenOptions(access_scope="public", public_read=True)
            await registry.shared_tokens.update_token(token.token, opened)
            assert await registry.lookup.load(token.token)

    run(scenario)


def test_caps_go_with_what_a_token_opens(run, publish) -> None:
    """The token's own and its account's, however the UDF is reached; 0 takes one away, None leaves it."""

    async def scenario(registry: Registry) -> None:
        owner, made = await registry.accounts.owner(), await publish(registry)
        token = await registry.shared_tokens.create_token(made.udf_id, TokenOptions(calls_per_day=3))
        of_token, of_account = Cap(owner.id, token.id, 3), Cap(owner.id, None, 7)

        async def caps() -> list[object]:
            lookup = registry.lookup
            grants = [await lookup.load(token.token), await lookup.opened(token.id)]
            grants += [await lookup.named(owner.id, "hills"), await lookup.seen(owner, "team", "hills")]
            return [grant and grant.caps for grant in grants]

        assert (token.calls_per_day, await caps()) == (3, [(of_token,), (of_token,), (), ()])
        capped = structs.replace(owner, calls_per_day=7)
        await registry.accounts.change(capped)
        assert await registry.accounts.by_email(owner.email) == capped
        assert await registry.accounts.caps(owner.id) == (of_account,)
        assert await caps() == [(of_token, of_account), (of_token, of_account), (of_account,), (of_account,)]
        left = await registry.shared_tokens.update_token(token.token, TokenOptions(enabled=True))
        freed = await registry.shared_tokens.update_token(token.token, TokenOptions(calls_per_day=0))
        assert left and freed and (left.calls_per_day, freed.calls_per_day) == (3, None)
        await registry.accounts.change(owner)
        assert [*await caps(), await registry.accounts.caps(owner.id)] == [()] * 5

    run(scenario)
