"""Absolute URLs: from `public_url`, else from Host. Forwarded headers count from trusted proxies only."""

import ipaddress
from typing import Any
from urllib.parse import quote

from tileserver.settings import Settings
from tileserver.web.access import Access, header
from tileserver.web.answers import Scope


class Addresses:
    """The server's own address as a client sees it."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._access = access
        self._public = settings.public_url.rstrip("/")
        self.root = "/" + settings.root_path.strip("/") if settings.root_path.strip("/") else ""
        self._quoted = quote(self.root).encode()
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in settings.trusted_proxies]

    def strip(self, path: bytes) -> bytes:
        """The path without the root path, whether or not a proxy has taken it off already."""
        root = self.root.encode()
        if not root:
            return path
        return next((path[len(each) :] for each in (root, self._quoted) if path.startswith(each + b"/")), path)

    def base(self, scope: Scope) -> str:
        """Scheme, host and root path, without a slash at the end."""
        if self._public:
            return self._public
        trusted = self._trusts(scope.get("client"))
        scheme = (_first(scope, b"x-forwarded-proto") if trusted else "") or scope.get("scheme", "http")
        host = (_first(scope, b"x-forwarded-host") if trusted else "") or self._own_host(scope)
        prefix = (_first(scope, b"x-forwarded-prefix").strip("/") if trusted else "") or self.root.strip("/")
        base = f"{'https' if scheme == 'https' else 'http'}://{quote(host, safe=':[]')}"
        return f"{base}/{quote(prefix, safe='/%@:')}" if prefix else base

    def _own_host(self, scope: Scope) -> str:
        """Host where it is a name of ours, else the address that the request came to."""
        host = header(scope, b"host")
        if host and self._access.knows(host):
            return host
        address, port = scope.get("server") or ("127.0.0.1", None)
        bare = f"[{address}]" if ":" in address else address
        return f"{bare}:{port}" if port else bare

    def _trusts(self, client: Any) -> bool:
        if not client or not self._trusted:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _first(scope: Scope, name: bytes) -> str:
    """What the nearest client said, where proxies in a row have each added their own."""
    return header(scope, name).partition(",")[0].strip()
