"""What an account may see: its own; everything else is as if it were not there."""

from tileserver.errors import NotFoundError
from tileserver.registry import Account, Registry, SharedToken, StoredUdf


async def own_udf(registry: Registry, account: Account, udf_id: str) -> StoredUdf:
    """The account's UDF of that id, or NotFoundError."""
    stored = await registry.publications.udf(udf_id)
    if stored is None or stored.account_id != account.id:
        raise NotFoundError("UDF not found")
    return stored


async def named_udf(registry: Registry, account: Account, slug: str) -> StoredUdf:
    """The account's UDF of that name, or NotFoundError."""
    stored = await registry.publications.udf_by_name(account.id, slug)
    if stored is None:
        raise NotFoundError("UDF not found")
    return stored


async def own_token(registry: Registry, account: Account, text: str) -> SharedToken:
    """The account's token, or NotFoundError."""
    token = await registry.shared_tokens.token(text)
    if token is None or token.account_id != account.id:
        raise NotFoundError("Token not found")
    return token
