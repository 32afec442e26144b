"""HTML of the pages. Pure functions; data goes into the page as JSON, never as code."""

import re
from collections.abc import Sequence
from html import escape
from inspect import cleandoc
from string import Template
from typing import Any, Final

import msgspec

MAP_CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors *"
)
"""The Content-Security-Policy of every page: no script but our own files, no other host."""


class MapPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a map page shows."""

    name: str
    kind: str
    """`raster`, `vector`, `table`, `document`, or empty where it is not known yet."""
    doc: str
    parameters: list[dict[str, Any]]
    """Per parameter `name`, `type`, `default` (JSON), `choices`, `optional`, `required`."""
    token: str
    version: str
    """What the page's own tile requests carry as `v`, so that browsers keep them until the function changes."""
    tilejson_url: str
    tile_url: str
    """The absolute template with `{z}/{x}/{y}`, for copying; the page itself asks by relative addresses."""
    file_url: str
    takes_tile: bool
    """Whether one run needs a tile: its files are those of a tile."""
    static: str
    """From the page to `/static`, as `../../static`."""
    minzoom: int
    maxzoom: int
    bounds: list[float]
    """West, south, east, north in degrees."""
    attribution: str
    layers: list[str]
    """The names of the layers inside vector tiles."""
    range_note: str | None
    """How values became colours, where nobody said how they should."""
    logs_url: str | None = None
    """Where the runs are, from the page; for the owner only."""


class IndexRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the catalogue."""

    name: str
    kind: str
    doc: str
    map_url: str
    usage: str = ""
    """What was asked for of late."""


def map_page(page: MapPage) -> str:
    """HTML of the page with the map, a control for each parameter, and what to copy into map clients."""
    owned = page.logs_url is not None
    body = _MAP.substitute(
        name=escape(page.name),
        badge=_badge(page.kind),
        doc=paragraphs(page.doc),
        note=_note(page.range_note),
        button=_RUNS_BUTTON if owned else "",
        runs=_RUNS if owned else "",
    )
    static = escape(page.static)
    head = _HEAD.substitute(static=static) + (_RUNS_HEAD.substitute(static=static) if owned else "")
    data = f'<script type="application/json" id="page">{_embedded(page)}</script>'
    return html_page(f"{page.name} · map", page.static, body + data, head=head)


def index_page(rows: Sequence[IndexRow], *, owner: bool) -> str:
    """HTML of the catalogue for the signed-in owner; for everybody else, how to sign in."""
    if not owner:
        return message_page("Sign in", "Open the link that “tileserver serve” printed when it started.")
    items = "".join(_INDEX_ROW.substitute(_row_fields(row)) for row in rows)
    listing = f'<ul class="catalogue">{items}</ul>' if rows else _NO_ROWS
    count = f"{len(rows)} layer{'' if len(rows) == 1 else 's'}"
    return html_page("Layers", "static", _INDEX.substitute(listing=listing, count=count))


def message_page(title: str, text: str) -> str:
    """HTML of a page that says one thing; both arguments are plain text."""
    return html_page(title, "static", _MESSAGE.substitute(title=escape(title), text=escape(text)))


def html_page(title: str, static: str, body: str, *, head: str = "") -> str:
    """HTML of a page with the look of all; body and head are HTML."""
    return _PAGE.substitute(title=escape(title), static=escape(static), body=body, head=head)


def _embedded(page: MapPage) -> str:
    """JSON that no HTML parser leaves early: `</script>` and `<!--` cannot occur in it."""
    text = msgspec.json.encode(page).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _badge(kind: str) -> str:
    return f'<span class="badge" data-kind="{escape(kind)}">{escape(kind)}</span>' if kind else ""


def _note(note: str | None) -> str:
    return f'<p class="note">{escape(note)}</p>' if note else ""


def paragraphs(doc: str) -> str:
    """HTML of a text, in which backticks mark code."""
    return "".join(_paragraph(part) for part in _PART.split(cleandoc(doc)) if part.strip())


def _paragraph(text: str) -> str:
    """Running text flows; what its author laid out, such as a list of arguments, keeps its lines."""
    laid_out = any(line.startswith((" ", "-", "*")) for line in text.splitlines())
    return f"<p{' class=laid-out' if laid_out else ''}>{marked(text.strip())}</p>"


def marked(text: str) -> str:
    """HTML of a line, in which backticks mark code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _row_fields(row: IndexRow) -> dict[str, str]:
    first = row.doc.strip().partition("\n")[0]
    return {
        "name": escape(row.name),
        "badge": _badge(row.kind),
        "doc": escape(first),
        "map_url": escape(row.map_url),
        "usage": escape(row.usage),
    }


_PART: Final = re.compile(r"\n\n|\n(?=\w+: )")
"""Between paragraphs. A line that begins with a name, as `azimuth: where the light comes from`, is one of its own."""

_CODE: Final = re.compile(r"``?([^`\n]+)``?")

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" type="image/svg+xml" href="$static/favicon.svg">
<link rel="stylesheet" href="$static/pages.css">
$head</head>
<body>
$body
</body>
</html>
""")

_HEAD: Final = Template("""<link rel="stylesheet" href="$static/maplibre/maplibre-gl.css">
<link rel="stylesheet" href="$static/map.css">
<link rel="modulepreload" href="$static/maplibre/maplibre-gl.mjs">
<script type="module" src="$static/map.js"></script>
""")

_MAP: Final = Template("""<main id="map" aria-label="Map of $name"></main>
<div id="progress" role="progressbar" aria-label="Tiles are loading" hidden></div>
<aside id="panel" aria-label="Layer">
<header>
<div class="title"><h1>$name</h1>$badge</div>
$button
<button type="button" id="fold" class="icon" aria-expanded="true" aria-controls="content" aria-label="Fold the panel">
<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3.5 10 8 5.5 12.5 10"/></svg></button>
</header>
<div id="content">
<div class="doc">$doc</div>
<form id="controls" aria-label="Parameters" autocomplete="off" hidden></form>
<section id="display" aria-label="Display" hidden>
<label for="opacity">Opacity</label>
<input type="range" id="opacity" min="0" max="1" step="0.05" value="1"><output for="opacity">100 %</output>
</section>
$note
<section id="share" aria-labelledby="share-title"><h2 id="share-title">Use this layer</h2>
<div id="addresses"></div>
<div id="files"></div>
<div id="snippets" hidden>
<div role="tablist" aria-label="Code for map clients"></div>
<div class="snippet" role="tabpanel" id="snippet" tabindex="0"><pre><code></code></pre></div>
</div></section>
</div>
</aside>
$runs<section id="failure" role="alert" hidden></section>
<div id="announcement" class="unseen" role="status"></div>
<noscript><p class="notice">The map needs JavaScript.</p></noscript>
""")

_RUNS_HEAD: Final = Template("""<link rel="stylesheet" href="$static/runs.css">
""")

_RUNS_BUTTON: Final = """<button type="button" id="runs-button" class="word" aria-expanded="false"
 aria-controls="runs">Runs</button>"""

_RUNS: Final = """<aside id="runs" aria-labelledby="runs-title" hidden>
<header><h2 id="runs-title">Runs</h2><span id="runs-state"></span>
<button type="button" id="runs-new" hidden>↑ New</button>
<label class="only"><input type="checkbox" id="runs-failed">Failed only</label>
<button type="button" id="runs-close" class="icon" aria-label="Close the runs">×</button></header>
<ol id="runs-list"></ol>
</aside>
"""

_INDEX: Final = Template("""<main class="page">
<header class="page-head"><h1>Layers</h1><span class="count">$count</span>
<a href="docs">API reference</a>
<form method="post" action="sign-out"><button type="submit" class="quiet">Sign out</button></form></header>
$listing
</main>""")

_INDEX_ROW: Final = Template("""<li><a href="$map_url"><span class="name">$name</span>$badge
<span class="summary">$doc</span><span class="usage">$usage</span></a></li>""")

_NO_ROWS: Final = (
    '<p class="empty">Nothing is published yet. Put a Python file with a function marked <code>@udf</code> in the '
    "directory that is served.</p>"
)

_MESSAGE: Final = Template("""<main class="page message"><h1>$title</h1><p>$text</p></main>""")
