"""From a token or a name to a UDF, as its text and, where known, a worker describe it."""

import msgspec
from cachetools import LRUCache

from tileserver.errors import ForbiddenError, NotFoundError
from tileserver.layers import Ask
from tileserver.registry import UNKNOWN_YET, Grant, Registry
from tileserver.udfs import Udf, with_computed


class Grants:
    """What may be reached, and what it is."""

    def __init__(self, registry: Registry) -> None:
        self._lookup = registry.lookup
        self._udfs: LRUCache[tuple[str, str | None, str], Udf] = LRUCache(1024)

    async def opened(self, ask: Ask) -> Grant:
        """What is asked for.

        Raises:
            NotFoundError: the token opens nothing, or the account may not see such a UDF.
        """
        if ask.collection:
            return _found(await self._lookup.named(ask.collection, ask.token))
        if ask.account is None:
            return await self.of(ask.token)
        if ask.who:
            return _found(await self._lookup.seen(ask.account, ask.who, ask.token), "UDF not found")
        return _found(await self._lookup.load_for(ask.token, ask.account.id))

    async def is_open(self, token: str) -> bool:
        """Whether the token opens something to everybody who has it."""
        found = self._lookup.resolve(token)
        return (await self._lookup.load(token) if found is UNKNOWN_YET else found) is not None

    async def of(self, token: str) -> Grant:
        """What the token opens.

        Raises:
            NotFoundError: it is unknown, disabled or deleted, or its UDF is away.
        """
        found = self._lookup.resolve(token)
        return _found(await self._lookup.load(token) if found is UNKNOWN_YET else found)

    async def named(self, name: str, account_id: str) -> Grant:
        """The account's UDF of that name, or one that it may see; else what the name opens as a token.

        Args:
            name: may say whose it is, as `who/name`: an e-mail address, a handle, `team` or `public`.

        Raises:
            NotFoundError: it is neither.
        """
        who, _, slug = name.rpartition("/")
        lookup = self._lookup
        grant = await (lookup.seen_by(account_id, who, slug) if who else lookup.named(account_id, name))
        if grant is not None:
            return grant
        try:
            return await self.of(name)
        except NotFoundError:
            raise NotFoundError("there is no UDF of this name") from None

    async def readable(self, name: str, account_id: str) -> Grant:
        """The same, if the account may read its code.

        Raises:
            ForbiddenError: it may not, though the token lets it run the UDF.
            NotFoundError: there is none.
        """
        grant = await self.named(name, account_id)
        if grant.token_id and await self._lookup.named(grant.account_id, grant.name, account_id) is None:
            raise ForbiddenError("the token lets you run this UDF, not read its code; its owner can make it public")
        return grant

    def udf(self, grant: Grant) -> Udf:
        """Its UDF."""
        address = (grant.digest, grant.facts, grant.record)
        if address not in self._udfs:
            udf = msgspec.json.decode(grant.record, type=Udf)
            facts = msgspec.json.decode(grant.facts) if grant.facts else {}
            if "options" in facts or "defaults" in facts:
                udf = with_computed(udf, facts.get("options", {}), facts.get("defaults", {}), file=udf.name)
            self._udfs[address] = udf
        return self._udfs[address]


def _found(grant: Grant | None, sentence: str | None = None) -> Grant:
    if grant is None:
        raise NotFoundError(sentence)
    return grant
