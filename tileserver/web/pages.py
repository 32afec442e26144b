"""HTML of the pages. Pure functions; data goes into the page as JSON, never as code."""

from typing import Any, Final

import msgspec

MAP_CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors *"
)


class MapPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a map page shows."""

    name: str
    kind: str
    doc: str
    parameters: list[dict[str, Any]]
    tilejson_url: str
    tile_url: str
    file_url: str
    static: str
    minzoom: int
    maxzoom: int
    bounds: list[float]
    attribution: str
    fields: dict[str, str]
    layer: str
    range_note: str | None
    owner: bool


class IndexRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the catalogue."""

    name: str
    kind: str
    doc: str
    map_url: str


def map_page(page: MapPage) -> str:
    return page.name


def index_page(rows: list[IndexRow], *, owner: bool) -> str:
    return " ".join(row.name for row in rows)


def message_page(title: str, text: str) -> str:
    return text
