"""HTML for notebooks. What comes from the server is escaped, and its addresses lead to web pages only."""

import os
from html import escape
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_FRAME: Final = (
    '<iframe src="{address}" title="Map of {name}" width="100%" height="480" style="border: 0" loading="lazy"'
    ' allow="clipboard-write" referrerpolicy="no-referrer"{sandbox}></iframe>'
)
_SANDBOX: Final = ' sandbox="allow-scripts allow-same-origin allow-popups allow-downloads"'
"""For another origin's page: it may not lead the notebook elsewhere. One of our own origin it would not keep in."""
_LINK: Final = '<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>'


def map_frame(name: str, map_url: str | None) -> str:
    """The map page in a frame; for a UDF that no token opens, how to make one."""
    if map_url is None:
        hint = escape(f"client.create_token({name!r})")
        return f"<p><b>{escape(name)}</b> has no enabled token; <code>{hint}</code> makes one.</p>"
    address = reachable(map_url)
    return _FRAME.format(
        address=escape(address), name=escape(name), sandbox=_SANDBOX if urlsplit(address).netloc else ""
    )


def addresses(name: str, urls: dict[str, str]) -> str:
    """A table of addresses; templates are text to copy, the others links."""
    rows = "".join(f"<tr><th>{escape(label)}</th><td>{_cell(url)}</td></tr>" for label, url in urls.items())
    return f"<table><caption>{escape(name)}</caption>{rows}</table>"


def _cell(url: str) -> str:
    address = escape(reachable(url))
    return f"<code>{address}</code>" if "{z}" in url else _LINK.format(address=address)


def reachable(url: str) -> str:
    """The address as the notebook's browser reaches it.

    On JupyterHub the browser is not where the server is: a loopback address becomes the one under which
    jupyter-server-proxy hands it on. `TILESERVER_PUBLIC_URL` makes the server's addresses others, which stay.
    """
    hub, parts = os.environ.get("JUPYTERHUB_SERVICE_PREFIX"), urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return "about:blank"
    if not hub or parts.hostname not in _LOOPBACK:
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{hub.rstrip('/')}/proxy/{parts.port or 80}{parts.path}{query}"
