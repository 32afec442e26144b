"""Absolute URLs: from `public_url`, else from Host. Forwarded headers count from trusted proxies only."""

import ipaddress
from typing import Any
from urllib.parse import quote

from tileserver.settings import Settings
from tileserver.web.access import header
from tileserver.web.answers import Scope


class Addresses:
    """The server's own address as a client sees it."""

    def __init__(self, settings: Settings) -> None:
        self._public = settings.public_url.rstrip("/")
        self.root = "/" + settings.root_path.strip("/") if settings.root_path.strip("/") else ""
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in settings.trusted_proxies]

    def strip(self, path: bytes) -> bytes:
        """The path without the root path, whether or not a proxy has taken it off already."""
        root = self.root.encode()
        return path[len(root) :] if root and path.startswith(root + b"/") else path

    def base(self, scope: Scope) -> str:
        """Scheme, host and root path, without a slash at the end."""
        if self._public:
            return self._public
        trusted = self._trusts(scope.get("client"))
        scheme = (header(scope, b"x-forwarded-proto") if trusted else "") or scope.get("scheme", "http")
        host = (header(scope, b"x-forwarded-host") if trusted else "") or header(scope, b"host")
        prefix = (header(scope, b"x-forwarded-prefix").rstrip("/") if trusted else "") or self.root
        return f"{'https' if scheme == 'https' else 'http'}://{quote(host, safe=':[]')}{quote(prefix)}"

    def _trusts(self, client: Any) -> bool:
        if not client or not self._trusted:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._trusted)
