"""Who asks: the owner by private token or session, never by address. And from where: Host and Origin."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from tileserver.errors import ForbiddenError, UnauthorisedError
from tileserver.registry import Account, Registry
from tileserver.settings import Settings
from tileserver.web.answers import Scope

COOKIE: Final = "tileserver_session"
_SCHEMES: Final = frozenset({"bearer", "fused-env-bearer", "fused-rtenv-bearer", "fused-service-token"})
"""What the SDK's ways to sign in send (hosted API, section 1.3)."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
"""Same-site is another port of this machine, too."""
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
        self._public = _authority(settings.public_url)
        named = {_hostname(each) for each in (*settings.allowed_hosts, settings.host, self._public)}
        self._hosts = (_LOOPBACK | named) - {""}

    def knows(self, host: str) -> bool:
        """Whether a value of Host is a name of ours.

        An address is: to rebind a name to us, a page elsewhere needs a name.
        """
        name = _hostname(host)
        return name in self._hosts or "*" in self._hosts or _is_address(name)

    def check_host(self, scope: Scope) -> None:
        """Raises ForbiddenError where Host is not a name of ours: a page elsewhere may have rebound its name to us."""
        hosts = [str(value, "latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self.knows(hosts[0]):
            raise ForbiddenError("This host name is not among the allowed ones (TILESERVER_ALLOWED_HOSTS).")

    def check_origin(self, scope: Scope) -> None:
        """Raises ForbiddenError where a page of another origin tries to write with our cookie.

        A browser that does not name the origin still says that it is another one.
        """
        if scope["method"] in _SAFE:
            return
        origin = header(scope, b"origin")
        if origin:
            foreign = _authority(origin) not in {header(scope, b"host").lower(), self._public} - {""}
        else:
            foreign = header(scope, b"sec-fetch-site") in _FOREIGN
        if foreign:
            raise ForbiddenError("Pages of other origins may not change anything here.")

    async def account(self, scope: Scope) -> Account | None:
        """The account that asks: by `Authorization`, else by the session cookie."""
        scheme, _, token = header(scope, b"authorization").partition(" ")
        if token and scheme.lower() in _SCHEMES:
            return await self.registry.credentials.account_by_private_token(token.strip())
        secret = session_of(scope)
        if not secret:
            return None
        self.check_origin(scope)
        return await self.registry.credentials.account_by_session(secret)

    async def owner(self, scope: Scope) -> Account:
        """The account that asks.

        Raises:
            UnauthorisedError: nobody that we know.
        """
        account = await self.account(scope)
        if account is None:
            raise UnauthorisedError
        return account

    async def server_owner(self, scope: Scope) -> Account:
        """The account that asks, if the server is its own.

        Raises:
            UnauthorisedError: nobody that we know.
            ForbiddenError: another account.
        """
        account = await self.owner(scope)
        if not account.is_owner:
            raise ForbiddenError("Only the server's owner may do this.")
        return account


def session_of(scope: Scope) -> str:
    """The session cookie's value, or an empty text."""
    return cookie_parser(header(scope, b"cookie")).get(COOKIE, "")


def _hostname(host: str) -> str:
    """Of `name:port`, `[::1]:port` or a bare address of either sort, without the dot that may end a name."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")


def _authority(origin: str) -> str:
    """Host and port of an origin, or an empty text."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
