"""What an account may see and change; everything else is as if it were not there."""

from tileserver.errors import ForbiddenError, NotFoundError
from tileserver.registry import Account, Registry, SharedToken, StoredUdf


async def visible_udf(registry: Registry, account: Account, udf_id: str) -> StoredUdf:
    """The UDF of that id: the account's own, its team's or a public one; else NotFoundError."""
    return _found(await registry.publications.seen(account.id, udf_id))


async def seen_udf(registry: Registry, account: Account, who: str, slug: str) -> StoredUdf:
    """What the account sees of `who`, an address, a handle, `team` or `public`, under that name; else NotFoundError."""
    return _found(await registry.publications.seen_by_name(account.id, who, slug))


async def named_udf(registry: Registry, account: Account, slug: str) -> StoredUdf:
    """The account's own UDF of that name, or NotFoundError."""
    return _found(await registry.publications.udf_by_name(account.id, slug))


async def own_udf(registry: Registry, account: Account, udf_id: str) -> StoredUdf:
    """The account's own UDF of that id; raises as `visible_udf` and `authored`."""
    return authored(await visible_udf(registry, account, udf_id), account)


def authored(stored: StoredUdf, account: Account) -> StoredUdf:
    """The UDF, if the account is its author; else ForbiddenError, since it may see it."""
    if stored.account_id != account.id:
        raise ForbiddenError(
            f"'{stored.name}' is another account's: you may read and run it, its author may change it."
        )
    return stored


async def own_token(registry: Registry, account: Account, text: str) -> SharedToken:
    """The account's token, or NotFoundError."""
    token = await registry.shared_tokens.token(text)
    if token is None or token.account_id != account.id:
        raise NotFoundError("Token not found")
    return token


async def shared_udf(registry: Registry, account: Account, text: str) -> StoredUdf:
    """The UDF that a token opens whose source the account may see.

    A token lets others run a UDF, not read it. Whatever is amiss, the answer is that of a token that never was.
    """
    token = await registry.shared_tokens.token(text)
    stored = await registry.publications.seen(account.id, token.udf_id) if token else None
    if token is None or stored is None or not (token.enabled or token.account_id == account.id):
        raise NotFoundError("Token not found")
    return stored


def _found(stored: StoredUdf | None) -> StoredUdf:
    if stored is None:
        raise NotFoundError("UDF not found")
    return stored
