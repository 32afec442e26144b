"""Who asks: the owner by private token or session, never by address. And from where: Host and Origin."""

from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from tileserver.errors import ForbiddenError, UnauthorisedError
from tileserver.registry import Account, Registry
from tileserver.settings import Settings
from tileserver.web.answers import Scope

COOKIE: Final = "tileserver_session"
_SCHEMES: Final = frozenset({"bearer", "fused-env-bearer", "fused-rtenv-bearer", "fused-service-token"})
"""What the SDK's ways to sign in send (hosted API, section 1.3)."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def header(scope: Scope, name: bytes) -> str:
    """A header's value, or an empty text."""
    for found, value in scope["headers"]:
        if found == name:
            return str(value, "latin-1")
    return ""


class Access:
    """The checks, with what they need to know."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.registry = registry
        self._hosts = _LOOPBACK | set(settings.allowed_hosts) | _host_of(settings.public_url) | {settings.host}

    def check_host(self, scope: Scope) -> None:
        """Raises ForbiddenError where Host is not a name of ours: a page elsewhere may have rebound its name to us."""
        host = _hostname(header(scope, b"host"))
        if "*" not in self._hosts and host not in self._hosts:
            raise ForbiddenError("This host name is not among the allowed ones (TILESERVER_ALLOWED_HOSTS).")

    def check_origin(self, scope: Scope) -> None:
        """Raises ForbiddenError where a page of another origin tries to write with our cookie."""
        origin = header(scope, b"origin")
        if scope["method"] in _SAFE or not origin:
            return
        if origin == "null" or urlsplit(origin).netloc != header(scope, b"host"):
            raise ForbiddenError("Pages of other origins may not change anything here.")

    async def account(self, scope: Scope) -> Account | None:
        """The account that asks: by `Authorization`, else by the session cookie."""
        scheme, _, token = header(scope, b"authorization").partition(" ")
        if token and scheme.lower() in _SCHEMES:
            return await self.registry.accounts.account_by_private_token(token.strip())
        secret = session_of(scope)
        if not secret:
            return None
        self.check_origin(scope)
        return await self.registry.accounts.account_by_session(secret)

    async def owner(self, scope: Scope) -> Account:
        """The account that asks.

        Raises:
            UnauthorisedError: nobody that we know.
        """
        account = await self.account(scope)
        if account is None:
            raise UnauthorisedError
        return account


def session_of(scope: Scope) -> str:
    """The session cookie's value, or an empty text."""
    try:
        morsel = SimpleCookie(header(scope, b"cookie")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1 : host.find("]")].lower()
    return host.partition(":")[0].lower()


def _host_of(url: str) -> set[str]:
    return {urlsplit(url).hostname or ""} if url else set()
