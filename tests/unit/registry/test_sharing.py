"""Who sees which UDFs: one's own, one's team's, public ones; nobody else's, by whatever name."""

from typing import Any, NamedTuple

import msgspec

from tileserver.registry import Account, Registry, Sharing


class Three(NamedTuple):
    """Two of a team, and a stranger."""

    anna: Account
    ben: Account
    cleo: Account


async def three(registry: Registry) -> Three:
    """Each has functions named `own`, `listed` and `read`; the last two are public, and `listed` in the list."""
    made = Three(*[await _account(registry, *each) for each in (("anna", "t"), ("ben", "t"), ("cleo", None))])
    for account in made:
        await publish(registry, account, "own")
        await publish(registry, account, "listed", allow_public_read=True, allow_public_list=True)
        await publish(registry, account, "read", allow_public_read=True)
    return made


async def _account(registry: Registry, handle: str, team: str | None) -> Account:
    return await registry.accounts.create(f"{handle}@c", handle=handle, name=handle, team=team)


async def publish(registry: Registry, account: Account, name: str, **sharing: bool) -> str:
    facts: dict[str, Any] = {"code": "", "headers": {}, "record": "{}", "source": "api", "file": None, "kind": None}
    made = await registry.publications.publish(
        account.id, name=name, digest=f"{account.handle} {name}", sharing=Sharing(**sharing), **facts
    )
    return made.udf_id


async def _sees(registry: Registry, asking: Account, who: str, slug: str) -> str | None:
    """Whose and which; store and look-up agree."""
    stored = await registry.publications.seen_by_name(asking.id, who, slug)
    for _ in range(2):  # from the database, and from memory
        grant = await registry.lookup.seen(asking, who, slug)
        assert (grant and grant.digest) == (stored and stored.digest)
    assert stored is None or await registry.publications.seen(asking.id, stored.id) == stored
    return stored and stored.digest


def test_what_is_seen_by_name(run) -> None:
    """By address or handle, in small letters or not; `team` and `public`."""

    async def scenario(registry: Registry) -> None:
        anna, ben, cleo = await three(registry)
        expected = {
            (anna, "anna@c", "own"): "anna own",
            (anna, "ANNA", "own"): "anna own",
            (anna, "ben@c", "own"): "ben own",
            (anna, "ben", "own"): "ben own",
            (anna, "cleo@c", "own"): None,
            (anna, "cleo", "own"): None,
            (anna, "cleo", "read"): "cleo read",
            (cleo, "anna", "own"): None,
            (cleo, "ben@c", "read"): "ben read",
            (ben, "team", "own"): "ben own",
            (anna, "team", "own"): "anna own",
            (cleo, "team", "own"): "cleo own",
            (cleo, "public", "own"): None,
            (cleo, "public", "read"): "cleo read",
            (cleo, "nobody", "own"): None,
            (cleo, "", "own"): None,
            (cleo, "anna@c", "nothing"): None,
        }
        for (asking, who, slug), seen in expected.items():
            assert await _sees(registry, asking, who, slug) == seen, (asking.handle, who, slug)

    run(scenario)


def test_of_one_name_ones_own_comes_first_then_the_oldest(run) -> None:
    """What somebody publishes later takes nothing over."""

    async def scenario(registry: Registry) -> None:
        anna, ben, cleo = await three(registry)
        await publish(registry, cleo, "common", allow_public_read=True)
        await publish(registry, ben, "common", allow_public_read=True)
        assert await _sees(registry, anna, "public", "common") == "cleo common"
        assert await _sees(registry, ben, "public", "common") == "ben common"
        assert await _sees(registry, anna, "team", "common") == "ben common"

    run(scenario)


def test_the_lists(run) -> None:
    """One's own; one's team's; those that are public and listed."""

    async def scenario(registry: Registry) -> None:
        anna, _, cleo = await three(registry)

        def digests(udfs: list[Any]) -> list[str]:
            return [each.digest for each in udfs]

        own = ["own", "listed", "read"]
        assert digests(await registry.publications.udfs(cleo.id, 0, 99)) == [f"cleo {each}" for each in own]
        assert digests(await registry.publications.team_udfs(cleo.id, 0, 99)) == [f"cleo {each}" for each in own]
        team = [f"{who} {each}" for who in ("anna", "ben") for each in own]
        assert digests(await registry.publications.team_udfs(anna.id, 0, 99)) == team
        assert digests(await registry.publications.team_udfs(anna.id, 4, 1)) == team[4:5]
        assert digests(await registry.publications.public_udfs(0, 99)) == ["anna listed", "ben listed", "cleo listed"]

    run(scenario)


def test_what_is_shared_no_more_is_seen_no_more(run) -> None:
    """By another process too, at its next request; whether the function changed or the team did."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        anna, ben, cleo = await three(ours)
        assert await _sees(theirs, cleo, "anna", "read") == "anna read"
        await publish(ours, anna, "read", allow_public_read=False)
        assert await _sees(theirs, cleo, "anna", "read") is None
        await publish(ours, anna, "listed")  # nothing said: it stays as it is
        assert await _sees(theirs, cleo, "anna", "listed") == "anna listed"
        assert await _sees(theirs, ben, "anna", "own") == "anna own"
        await ours.accounts.change(msgspec.structs.replace(ben, team=None))
        assert await _sees(theirs, ben, "anna", "own") is None
        assert await _sees(theirs, ben, "team", "own") == "ben own"

    run(scenario, 2)


def test_an_account_that_is_not_there_sees_only_what_is_public(run) -> None:
    """No team is not the same as no account."""

    async def scenario(registry: Registry) -> None:
        await three(registry)
        assert await registry.lookup.seen_by("nobody", "cleo", "own") is None
        assert await registry.lookup.seen_by("nobody", "cleo", "read")

    run(scenario)
