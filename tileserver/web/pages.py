"""HTML of the pages. Pure functions; data goes into a page as JSON, never as code."""

from html import escape
from typing import Any, Final

import msgspec

MAP_CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors *"
)
"""Scripts from here only; MapLibre sets inline styles and decodes images from blobs."""

_UNSAFE: Final = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})


class MapPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a map page shows."""

    name: str
    kind: str
    """Empty while nobody knows it."""
    doc: str
    parameters: list[dict[str, Any]]
    """Each with name, type, default, choices, optional, required."""
    token: str
    version: str
    """The value of `v` in tile URLs."""
    tilejson_url: str
    tile_url: str
    """The template to copy; the page itself uses relative addresses."""
    file_url: str
    static: str
    """The way to the static files, relative to the page's folder."""
    minzoom: int
    maxzoom: int
    bounds: list[float]
    """West, south, east, north in degrees."""
    attribution: str
    layer: str
    """The vector tile layer's name."""
    range_note: str | None
    """What to know about the range that values are shown over."""


class IndexRow(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF in the catalogue."""

    name: str
    kind: str
    doc: str
    map_url: str


_MAP_BODY: Final = """<body class="map-page">
<div id="bar" aria-hidden="true"></div>
<main id="map" aria-label="Map of {name}"></main>
<aside id="panel" aria-label="Layer">
<button id="fold" type="button" aria-label="Show or hide details" aria-expanded="false"></button>
<div class="head"><h1>{name}</h1><span class="badge">{kind}</span></div>
<p class="doc">{doc}</p>
{note}
<h2 id="parameters-title">Parameters</h2>
<form id="parameters" autocomplete="off"></form>
{more}
<h2>Addresses</h2>
<div id="addresses"></div>
</aside>
<section id="error" role="alert" hidden></section>
<script type="application/json" id="page">{data}</script>
<script type="module" src="{static}/map.js"></script>"""

_OPACITY: Final = (
    '<h2>Layer</h2><div class="field"><label for="opacity">opacity</label>'
    '<input id="opacity" type="range" min="0" max="1" step="0.05" value="1"></div>'
)
_FILE_LINK: Final = '<p><a id="file" href="#">Open the result</a></p>'


def map_page(page: MapPage) -> str:
    """The page with the map."""
    body = _MAP_BODY.format(
        name=escape(page.name),
        kind=escape(page.kind or "not known yet"),
        doc=escape(page.doc),
        note=f'<p class="note">{escape(page.range_note)}</p>' if page.range_note else "",
        more=_OPACITY if page.kind in ("raster", "vector") else _FILE_LINK,
        data=msgspec.json.encode(page).decode().translate(_UNSAFE),
        static=page.static,
    )
    head = f'<link rel="stylesheet" href="{page.static}/maplibre/maplibre-gl.css">'
    return _document(page.name, page.static, body, head)


def index_page(rows: list[IndexRow], *, owner: bool) -> str:
    """The catalogue for its owner; for others, how to sign in."""
    if not owner:
        return message_page("tileserver", "To see your layers, open the sign-in link that tileserver serve printed.")
    items = "\n".join(_item(row) for row in rows)
    leave = '<form method="post" action="sign-out"><button class="plain">Sign out</button></form>'
    empty = "" if rows else '<p class="doc">Nothing is published yet.</p>'
    head = f'<div class="head"><h1>Layers</h1>{leave}</div>'
    return _document("Layers", "static", f'<body><main class="sheet">{head}{empty}<ul class="rows">{items}</ul></main>')


def _item(row: IndexRow) -> str:
    first = row.doc.strip().partition("\n")[0]
    head = f'<div class="head"><b>{escape(row.name)}</b><span class="badge">{escape(row.kind or "?")}</span></div>'
    return f'<li><a href="{escape(row.map_url)}">{head}<p>{escape(first)}</p></a></li>'


def message_page(title: str, text: str) -> str:
    """A page with one sentence of plain text."""
    words = f'<h1>{escape(title)}</h1><p class="doc">{escape(text)}</p>'
    return _document(title, "static", f'<body><main class="sheet">{words}</main>')


def _document(title: str, static: str, body: str, head: str = "") -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="{static}/favicon.svg">
{head}
<link rel="stylesheet" href="{static}/pages.css">
</head>
{body}
</body>
</html>
"""
