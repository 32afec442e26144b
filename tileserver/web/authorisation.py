"""What opens to some of those who have a token: a team's tokens, and the tokens of collections."""

import hmac
import time
from typing import Final

import msgspec
from cachetools import TTLCache

from tileserver import query as queries
from tileserver.errors import InvalidParameterError, NotFoundError
from tileserver.grants import Grants
from tileserver.layers import Ask
from tileserver.registry import Collection, Registry
from tileserver.web.access import Access, header
from tileserver.web.answers import Scope
from tileserver.web.session_tokens import PARAMETER, is_live

GUESSES: Final = 20
"""Wrong passcodes of a collection in a minute, after which the right one opens nothing either until it is over."""
_PASSCODE: Final = "fused-canvas-passcode"
"""The scheme of `Authorization` (hosted API, section 5)."""


class Authorisation:
    """Asks in the name under which they may be answered; whoever may not is answered as if the token never was."""

    def __init__(self, grants: Grants, registry: Registry, access: Access) -> None:
        self._grants, self._registry, self._access = grants, registry, access
        self._wrong: TTLCache[tuple[str, int], int] = TTLCache(10_000, 60)

    async def asked(self, scope: Scope, ask: Ask) -> Ask:
        """The ask as it is where an account asks by name, or the token is for everybody; else with who may.

        Raises:
            NotFoundError: a collection's token that opens nothing to who asks.
        """
        if ask.account is not None:
            return ask
        token, slash, name = ask.token.partition("/")
        if slash:
            account_id = await self._collection(scope, token, ask.query)
            return msgspec.structs.replace(ask, token=name, collection=account_id)
        if not header(scope, b"authorization") or await self._grants.is_open(token):
            return ask
        return msgspec.structs.replace(ask, account=await self._access.account(scope))

    async def _collection(self, scope: Scope, token: str, query: str) -> str:
        """The id of the account whose UDFs the token opens."""
        found = await self._registry.collections.by_token(token)
        if found is None or not (self._needs_no_account(scope, token, query, found) or await self._is_in(scope, found)):
            raise NotFoundError
        return found.account_id

    def _needs_no_account(self, scope: Scope, token: str, query: str, found: Collection) -> bool:
        """Whether a session, the passcode or the token itself is enough."""
        if is_live(self._registry.keyring, token, _session(query)):
            return True
        if found.passcode:
            return self._says(scope, token, found.passcode)
        return found.access_scope == "public"

    def _says(self, scope: Scope, token: str, passcode: str) -> bool:
        scheme, _, said = header(scope, b"authorization").partition(" ")
        if scheme.lower() != _PASSCODE:
            return False
        minute = token, int(time.time() // 60)
        wrong = self._wrong.get(minute, 0)
        if wrong >= GUESSES:
            return False
        if hmac.compare_digest(said.strip().encode("latin-1"), passcode.encode()):
            return True
        self._wrong[minute] = wrong + 1
        return False

    async def _is_in(self, scope: Scope, found: Collection) -> bool:
        """Whether its account asks, or one of that account's team."""
        account = await self._access.account(scope) if header(scope, b"authorization") else None
        return account is not None and found.is_for(account)


def _session(query: str) -> str:
    """The session token of a query; a query that cannot be read has none, and tells nothing of the token either."""
    try:
        return queries.parse(query).get(PARAMETER, [""])[-1]
    except InvalidParameterError:
        return ""
