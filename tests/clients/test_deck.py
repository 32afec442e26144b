"""deck.gl in Chromium: TileLayer and MVTLayer, from another origin than the tiles'."""

from collections.abc import Callable

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
from tabs import Tab

pytestmark = pytest.mark.slow

TILE_LAYER = """new TileLayer({{
  data: "{url}", tileSize: 256,
  renderSubLayers: (props) => {{
    const {{ west, south, east, north }} = props.tile.bbox;
    return new BitmapLayer(props, {{ data: null, image: props.data, bounds: [west, south, east, north] }});
  }},
}})"""
MVT_LAYER = """new MVTLayer({{
  data: "{url}", binary: {binary}, stroked: false, pickable: true,
  getFillColor: ({{ properties: {{ red, green, blue }} }}) => [red, green, blue],
}})"""


@pytest.mark.parametrize("view", VIEWS)
def test_raster_addresses(deck: Tab, server: Running, site: str, view: View) -> None:
    """The colour that follows from z, x and y stands where that tile belongs."""
    code = TILE_LAYER.format(url=template(server, "address", ".png"))
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: address_colour(place, view.zoom + 1))


@pytest.mark.parametrize("view", VIEWS)
def test_raster_bounds(deck: Tab, server: Running, site: str, view: View) -> None:
    """The colour that follows from longitude and latitude stands where they are."""
    code = TILE_LAYER.format(url=template(server, "degrees", ".png", period=view.period))
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: degrees_colour(place, view.period))


def test_empty_raster_tiles(deck: Tab, server: Running, site: str) -> None:
    """Empty tiles leave the ground as it is and are no error."""
    view = VIEWS[0]
    code = TILE_LAYER.format(url=template(server, "address", ".png", holes="true"))
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    zoom = view.zoom + 1
    picture.check(view, zoom, lambda place: WHITE if is_hole(place, zoom) else address_colour(place, zoom))


@pytest.mark.parametrize("view", VIEWS)
def test_vector_bounds(deck: Tab, server: Running, site: str, view: View) -> None:
    """Features at whole degrees stand there, whichever tiles they come in."""
    code = MVT_LAYER.format(url=tilejson(server, "squares", period=view.period / 4), binary="true")
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    picture.check(view, view.zoom, lambda place: squares_colour(place, view.period / 4))


@pytest.mark.parametrize("binary", ["true", "false"])
@pytest.mark.parametrize("address", [tilejson, lambda server, name: template(server, name, ".mvt")])
@pytest.mark.parametrize("view", VIEWS[::2])
def test_vector(
    deck: Tab, server: Running, site: str, view: View, address: Callable[[Running, str], str], binary: str
) -> None:
    """From TileJSON or template, as objects or as binary, each quarter lies in its tile and knows which it is."""
    code = MVT_LAYER.format(url=address(server, "marks"), binary=binary)
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    picture.check(view, view.zoom, lambda place: marks_colour(place, view.zoom))
    for column, row in list(view.pixels(view.zoom))[::9]:
        assert deck.attributes(column, row) == marks_attributes(view.place(column, row), view.zoom)


def test_empty_vector_tiles(deck: Tab, server: Running, site: str) -> None:
    """Tiles answered with 204 leave the ground as it is and are no error."""
    view = VIEWS[0]
    code = MVT_LAYER.format(url=tilejson(server, "marks", holes="true"), binary="true")
    picture = deck.show(f"{site}/pages/deck.html", view, code)
    picture.check(view, view.zoom, lambda place: WHITE if is_hole(place, view.zoom) else marks_colour(place, view.zoom))
