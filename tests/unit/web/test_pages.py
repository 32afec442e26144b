"""Pages: text stays text, data comes back, and nothing is asked of another host."""

import json
import re
from pathlib import Path

import pytest

from tileserver.web import pages

STATIC = Path(pages.__file__).parent / "static"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028 & \"quotes\" 'too'"


def page(**changes: object) -> pages.MapPage:
    values: dict[str, object] = {
        "name": "relief",
        "kind": "raster",
        "doc": "",
        "parameters": [],
        "token": "fsh_x",
        "version": "1.0",
        "tilejson_url": "",
        "tile_url": "",
        "file_url": "",
        "takes_tile": False,
        "static": "../../static",
        "minzoom": 0,
        "maxzoom": 22,
        "bounds": [-180.0, -85.0, 180.0, 85.0],
        "attribution": "",
        "layers": ["udf"],
        "range_note": None,
    }
    return pages.MapPage(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "said"),
    [(name, HOSTILE) for name in ("name", "doc", "attribution", "range_note")] + [("layers", [HOSTILE])],
)
def test_text_of_a_function_stays_text(field: str, said: object) -> None:
    """What a function says cannot become markup, and arrives unchanged in the page's data."""
    html = pages.map_page(page(**{field: said}))
    assert "<img" not in html
    data = re.search(r'<script type="application/json" id="page">(.*?)</script>', html)
    assert data is not None
    assert json.loads(data[1])[field] == said


def test_the_catalogue_escapes_too() -> None:
    """Names and first lines are text; strangers see how to sign in and no layer."""
    row = pages.IndexRow(name=HOSTILE, kind="raster", doc=HOSTILE, map_url="tiles/fsh_x/map")
    assert "<img" not in pages.index_page([row], owner=True)
    assert "fsh_x" not in pages.index_page([row], owner=False)


def test_nothing_is_asked_of_another_host() -> None:
    """No static file of ours or MapLibre's style sheet loads from elsewhere, and the policy would forbid it."""
    for file in (STATIC / "map.js", STATIC / "pages.css", STATIC / "maplibre" / "maplibre-gl.css"):
        assert not re.search(r"(?:url\(|from |import\(|src=)\s*['\"]?https?:", file.read_text())
    assert "unsafe-eval" not in pages.MAP_CSP
    assert "http" not in pages.MAP_CSP


def test_pages_are_whole() -> None:
    """Every static file that a page names is there."""
    html = pages.map_page(page(static="static"))
    for name in re.findall(r'(?:href|src)="static/([^"]+)"', html):
        assert (STATIC / name).is_file(), name


def test_runs_are_on_the_owners_page_only() -> None:
    """Without their address there is no button, no panel and no style for them."""
    assert "runs" not in pages.map_page(page()).replace('"logs_url":null', "")
    owned = pages.map_page(page(logs_url="../../api/v1/udf/relief/logs"))
    assert all(part in owned for part in ('id="runs-button"', '<aside id="runs"', "../../static/runs.css"))
