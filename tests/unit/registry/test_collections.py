"""Collections: shared, changed, taken back; every process knows it at once."""

import pytest

from tileserver.errors import NotFoundError
from tileserver.registry import Registry


def test_before_anything_is_chosen(run) -> None:
    """It is its team's, and not shared."""

    async def scenario(registry: Registry) -> None:
        owner = await registry.accounts.owner()
        found = await registry.collections.of(owner.id)
        assert (found.account_id, found.handle, found.team) == (owner.id, "owner", None)
        assert (found.token, found.access_scope, found.passcode, found.updated) == (None, "team", None, 0)
        with pytest.raises(NotFoundError):
            await registry.collections.of("nobody")

    run(scenario)


def test_it_is_shared_and_taken_back(run) -> None:
    """The same token until another is wanted; another process sees each change at its next look."""

    async def scenario(ours: Registry, theirs: Registry) -> None:
        account_id = (await ours.accounts.owner()).id
        first = (await ours.collections.share(account_id, anew=False)).token
        assert first
        assert (await ours.collections.share(account_id, anew=False)).token == first
        for _ in range(2):
            found = await theirs.collections.by_token(first)
            assert found
            assert (found.account_id, found.token) == (account_id, first)
        second = (await ours.collections.share(account_id, anew=True)).token
        assert second
        assert await theirs.collections.by_token(first) is None
        assert await theirs.collections.by_token(second)
        assert (await ours.collections.unshare(account_id)).token is None
        for token in (first, second, "fc_", "fsh_" + "a" * 43, ""):
            assert await theirs.collections.by_token(token) is None
        third = (await ours.collections.share(account_id, anew=False)).token
        assert third not in (first, second, None)

    run(scenario, 2)


def test_what_is_chosen_stays(run) -> None:
    """Over sharing, and over a restart; none leaves the passcode, an empty one takes it away."""

    async def choose(registry: Registry) -> tuple[str, str]:
        account_id = (await registry.accounts.owner()).id
        await registry.collections.change(account_id, access_scope="public", passcode="open sesame")
        shared = await registry.collections.share(account_id, anew=False)
        assert (shared.access_scope, shared.passcode) == ("public", "open sesame")
        return account_id, str(shared.token)

    account_id, token = run(choose)

    async def change(registry: Registry) -> None:
        found = await registry.collections.by_token(token)
        assert found
        assert (found.access_scope, found.passcode) == ("public", "open sesame")
        changed = await registry.collections.change(account_id, access_scope="team", passcode=None)
        assert (changed.token, changed.access_scope, changed.passcode) == (token, "team", "open sesame")
        changed = await registry.collections.change(account_id, access_scope="team", passcode="")
        assert (changed.token, changed.passcode) == (token, None)
        found = await registry.collections.by_token(token)
        assert found
        assert found.passcode is None

    run(change)


def test_token_and_passcode_are_sealed(run, tmp_path) -> None:
    """Nothing beside the database has them, and the database has them not as text."""

    async def scenario(registry: Registry) -> str:
        account_id = (await registry.accounts.owner()).id
        await registry.collections.change(account_id, access_scope="team", passcode="open sesame")
        return str((await registry.collections.share(account_id, anew=False)).token)

    token = run(scenario)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.encode() not in written
    assert b"open sesame" not in written
