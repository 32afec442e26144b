"""MapLibre GL JS in Chromium, from another origin than the tiles'."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from golden import (
    VIEWS,
    WHITE,
    View,
    address_colour,
    degrees_colour,
    is_hole,
    marks_attributes,
    marks_colour,
    squares_colour,
)
from served import template, tilejson
from server import Running
from tabs import Tab, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

RASTER = """
map.addSource("udf", {{ type: "raster", {source}, tileSize: 256 }});
map.addLayer({{ id: "udf", type: "raster", source: "udf" }});
"""
VECTOR = """
map.addSource("udf", {{ type: "vector", {source} }});
const colour = ["rgb", ["get", "red"], ["get", "green"], ["get", "blue"]];
map.addLayer({{
  id: "udf", type: "fill", source: "udf", "source-layer": "golden",
  paint: {{ "fill-color": colour, "fill-antialias": false }},
}});
"""


@pytest.mark.parametrize("view", VIEWS)
def test_raster_addresses(tab: Tab, server: Running, site: str, view: View) -> None:
    """From TileJSON, the colour that follows from z, x and y stands where that tile belongs."""
    code = RASTER.format(source=f'url: "{tilejson(server, "address")}"')
    picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: address_colour(place, view.zoom + 1))


@pytest.mark.parametrize("view", VIEWS)
def test_raster_bounds(tab: Tab, server: Running, site: str, view: View) -> None:
    """A parameter of the TileJSON's address reaches the function; the colours stand at their longitude and latitude."""
    code = RASTER.format(source=f'url: "{tilejson(server, "degrees", period=view.period)}"')
    picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: degrees_colour(place, view.period))


def test_dense_screens(chromium: "Browser", server: Running, site: str) -> None:
    """`@2x` tiles lie where the others do, on a screen of two pixels to one."""
    view = VIEWS[0]
    code = RASTER.format(source=f'tiles: ["{template(server, "degrees", "@2x.png", period=view.period)}"]')
    with opened(chromium, scale=2) as tab:
        picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: degrees_colour(place, view.period))


def test_empty_raster_tiles(tab: Tab, server: Running, site: str) -> None:
    """Empty tiles leave the ground as it is and are no error."""
    view = VIEWS[0]
    zoom = view.zoom + 1
    code = RASTER.format(source=f'url: "{tilejson(server, "address", holes="true")}"')
    picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, zoom, lambda place: WHITE if is_hole(place, zoom) else address_colour(place, zoom))


@pytest.mark.parametrize(
    "source",
    [
        lambda server: f'url: "{tilejson(server, "marks")}"',
        lambda server: f'tiles: ["{template(server, "marks", ".mvt")}"]',
    ],
)
@pytest.mark.parametrize("view", VIEWS)
def test_vector(tab: Tab, server: Running, site: str, view: View, source: Callable[[Running], str]) -> None:
    """From TileJSON or template, each quarter lies in its tile and knows which it is."""
    picture = tab.show(f"{site}/pages/maplibre.html", view, VECTOR.format(source=source(server)))
    picture.check(view, view.zoom, lambda place: marks_colour(place, view.zoom))
    for column, row in list(view.pixels(view.zoom))[::9]:
        assert tab.attributes(column, row) == marks_attributes(view.place(column, row), view.zoom)


@pytest.mark.parametrize("view", VIEWS)
def test_vector_bounds(tab: Tab, server: Running, site: str, view: View) -> None:
    """Features at whole degrees stand there, whichever tiles they come in."""
    code = VECTOR.format(source=f'url: "{tilejson(server, "squares", period=view.period / 4)}"')
    picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, view.zoom, lambda place: squares_colour(place, view.period / 4))


def test_empty_vector_tiles(tab: Tab, server: Running, site: str) -> None:
    """Tiles answered with 204 leave the ground as it is and are no error."""
    view = VIEWS[0]
    code = VECTOR.format(source=f'url: "{tilejson(server, "marks", holes="true")}"')
    picture = tab.show(f"{site}/pages/maplibre.html", view, code)
    picture.check(view, view.zoom, lambda place: WHITE if is_hole(place, view.zoom) else marks_colour(place, view.zoom))


SEAMLESS = {
    "raster": """
map.addSource("udf", {{ type: "raster", {source}, tileSize: 256 }});
map.addLayer({{ id: "udf", type: "raster", source: "udf", paint: {{ "raster-opacity": 0.5 }} }});
""",
    "area": """
map.addSource("udf", {{ type: "vector", {source} }});
map.addLayer({{
  id: "udf", type: "fill", source: "udf", "source-layer": "golden",
  paint: {{ "fill-color": "#3c78b4", "fill-opacity": 0.5, "fill-antialias": false }},
}});
""",
    "line": """
map.addSource("udf", {{ type: "vector", {source} }});
map.addLayer({{
  id: "udf", type: "line", source: "udf", "source-layer": "golden",
  paint: {{ "line-color": "#3c78b4", "line-opacity": 0.5, "line-width": 9 }},
}});
""",
}


@pytest.mark.parametrize("kind", SEAMLESS)
def test_no_seams(tab: Tab, server: Running, site: str, kind: str) -> None:
    """What goes on in the next tile looks the same at its edge: nothing missing, and nothing there twice."""
    tiles = {
        "raster": lambda: template(server, "flat", ".png"),
        "area": lambda: template(server, "whole", ".mvt"),
        "line": lambda: template(server, "whole", ".mvt", line="true"),
    }
    source = f'tiles: ["{tiles[kind]()}"]'
    view = View(lon=10.3, lat=51.5, zoom=5)
    pixels = tab.show(f"{site}/pages/maplibre.html", view, SEAMLESS[kind].format(source=source)).pixels
    assert (pixels == pixels[:, :1]).all(), "columns differ"
    assert kind == "line" or (pixels == pixels[:1]).all(), "rows differ"
    assert not (pixels == 255).all()
