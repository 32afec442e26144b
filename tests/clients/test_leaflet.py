"""Leaflet in Chromium, from another origin than the tiles'."""

import pytest
from golden import VIEWS, WHITE, View, address_colour, degrees_colour, is_hole
from served import template
from server import Running
from tabs import Tab

pytestmark = pytest.mark.slow

CODE = 'L.tileLayer("{url}", {{ maxZoom: 24, crossOrigin: {cross} }}).addTo(map);'


@pytest.mark.parametrize("cross", ["false", "true"])
@pytest.mark.parametrize("view", VIEWS)
def test_raster_addresses(tab: Tab, server: Running, site: str, view: View, cross: str) -> None:
    """As plain images or with CORS, the colour that follows from z, x and y stands where that tile belongs."""
    code = CODE.format(url=template(server, "address", ".png"), cross=cross)
    picture = tab.show(f"{site}/pages/leaflet.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: address_colour(place, view.zoom + 1))


@pytest.mark.parametrize("view", VIEWS)
def test_raster_bounds(tab: Tab, server: Running, site: str, view: View) -> None:
    """The colour that follows from longitude and latitude stands where they are."""
    code = CODE.format(url=template(server, "degrees", ".png", period=view.period), cross="true")
    picture = tab.show(f"{site}/pages/leaflet.html", view, code)
    picture.check(view, view.zoom + 1, lambda place: degrees_colour(place, view.period))


def test_empty_raster_tiles(tab: Tab, server: Running, site: str) -> None:
    """Empty tiles leave the ground as it is and are no error."""
    view = VIEWS[0]
    zoom = view.zoom + 1
    code = CODE.format(url=template(server, "address", ".png", holes="true"), cross="true")
    picture = tab.show(f"{site}/pages/leaflet.html", view, code)
    picture.check(view, zoom, lambda place: WHITE if is_hole(place, zoom) else address_colour(place, zoom))
