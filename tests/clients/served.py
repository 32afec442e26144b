"""Addresses of the golden layers, as a user would have them."""

from urllib.parse import urlencode

from server import Running


def template(server: Running, name: str, extension: str, **query: str | float) -> str:
    """The address of a layer's tiles with `{z}/{x}/{y}`."""
    return f"{server.url}/tiles/{server.token(name)}/{{z}}/{{x}}/{{y}}{extension}{_query(query)}"


def tilejson(server: Running, name: str, **query: str | float) -> str:
    """The address of a layer's TileJSON."""
    return f"{server.url}/tiles/{server.token(name)}/tilejson.json{_query(query)}"


def map_page(server: Running, name: str, **query: str | float) -> str:
    """The address of a layer's page."""
    return f"{server.url}/tiles/{server.token(name)}/map{_query(query)}"


def _query(query: dict[str, str | float]) -> str:
    return f"?{urlencode(query)}" if query else ""
