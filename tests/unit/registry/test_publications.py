"""UDFs, their versions, and the token that comes with a publication."""

import asyncio

from tileserver.registry import Registry, TokenOptions


def test_a_publication_is_read_again(run, publish) -> None:
    """By id and by name, in the version published last, with the same token each time and after a restart."""

    async def scenario(registry: Registry) -> str:
        owner = await registry.accounts.owner()
        first = await publish(registry)
        second = await publish(registry, digest="d2", kind="raster")
        assert first == second
        stored = await registry.publications.udf(first.udf_id)
        assert stored == await registry.publications.udf_by_name(owner.id, "hills")
        assert stored
        assert (stored.digest, stored.code, stored.kind) == ("d2", "# d2", "raster")
        assert stored.headers == {"sibling": "x = 1"}
        assert (stored.source, stored.file, stored.present) == ("file", "hills.py", True)
        assert await registry.publications.udf_by_name(owner.id, "valleys") is None
        assert await registry.publications.udf("valleys") is None
        return first.token

    assert run(scenario) == run(scenario)


def test_an_older_version_comes_back_with_what_was_learnt_of_it(run, publish) -> None:
    """Versions are immutable: the edit that is undone needs no second probe."""

    async def scenario(registry: Registry) -> None:
        made = await publish(registry)
        await registry.publications.learn(made.udf_id, "d1", kind="vector", facts='{"fields": 1}')
        await publish(registry, digest="d2")
        assert (await registry.lookup.load(made.token)).facts is None
        await publish(registry)
        grant = await registry.lookup.load(made.token)
        assert (grant.digest, grant.kind, grant.facts) == ("d1", "vector", '{"fields": 1}')

    run(scenario)


def test_a_deleted_publication_token_stays_deleted(run, publish) -> None:
    """Through new versions and restarts; a disabled one is still told."""

    async def disable(registry: Registry) -> None:
        made = await publish(registry)
        await registry.shared_tokens.update_token(made.token, TokenOptions(enabled=False))
        assert (await publish(registry)).token == made.token
        await registry.shared_tokens.delete_token(made.token)
        assert (await publish(registry)).token is None

    async def again(registry: Registry) -> None:
        made = await publish(registry, digest="d3")
        assert made.token is None
        owner = await registry.accounts.owner()
        assert await registry.shared_tokens.tokens(owner.id, 0, 10) == []

    run(disable)
    run(again)


def test_publishing_at_once_makes_one_udf(run, publish) -> None:
    """One row and one token, whoever comes first, in two processes."""

    async def scenario(first: Registry, second: Registry) -> None:
        made = await asyncio.gather(*(publish(one) for one in (first, second) * 10))
        assert len({each.udf_id for each in made}) == len({each.token for each in made}) == 1

    run(scenario, 2)


def test_a_withdrawn_udf_is_away_until_it_is_published_again(run, publish) -> None:
    """Its tokens open nothing meanwhile, and the same ones open it afterwards."""

    async def scenario(registry: Registry) -> None:
        made = await publish(registry)
        assert await registry.lookup.load(made.token)
        await registry.publications.withdraw(made.udf_id)
        assert await registry.lookup.load(made.token) is None
        assert not (await registry.publications.udf(made.udf_id)).present
        assert (await publish(registry)).token == made.token
        assert await registry.lookup.load(made.token)

    run(scenario)


def test_udfs_come_in_pages_by_age_and_go_with_their_tokens(run, publish) -> None:
    """Pages end; a deleted UDF takes versions and tokens with it and touches no other."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        made = {name: await publish(registry, name) for name in ("c", "a", "b")}
        pages = [await registry.publications.udfs(owner.id, skip, 2) for skip in (0, 2, 4)]
        assert [[each.name for each in page] for page in pages] == [["c", "a"], ["b"], []]
        assert await registry.publications.udfs("somebody else", 0, 10) == []
        await registry.publications.delete_udf(made["a"].udf_id)
        assert await registry.publications.udf(made["a"].udf_id) is None
        assert await registry.shared_tokens.token(made["a"].token) is None
        assert await registry.lookup.load(made["a"].token) is None
        assert await registry.lookup.load(made["b"].token)

    run(scenario)


def test_an_api_publication_mints_no_token(run, publish) -> None:
    """Its owner asks for tokens where they are wanted."""

    async def scenario(registry: Registry) -> None:
        assert (await publish(registry, source="api", file=None)).token is None

    run(scenario)
