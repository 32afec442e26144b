"""Code that people copy, run as it stands: what the map page offers for each client, and what the README says."""

import re
from pathlib import Path

import pytest
from golden import VIEWS, WHITE, Colour, Place, degrees_colour, is_marked
from served import map_page, template
from server import Running, fetch
from tabs import Tab

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
VIEW = VIEWS[0]
BLUE: Colour = (31.0, 94.0, 255.0)
CLIENTS = {"MapLibre": "maplibre", "Leaflet": "leaflet", "deck.gl": "deck"}
OPACITY = {"MapLibre": 0.3, "Leaflet": 0.2, "deck.gl": 80 / 255}
"""Of polygons as each snippet or, where it says nothing, its client has them."""


def copied(tab: Tab, address: str, client: str) -> str:
    """The code on a map page for a client."""
    tab.page.goto(address)
    tab.page.get_by_role("tab", name=client).click()
    return tab.page.locator("#snippet code").inner_text()


def blended(place: Place, zoom: int, opacity: float) -> Colour:
    """The quarters of `marks` in one colour on white."""
    if not is_marked(place, zoom):
        return WHITE
    red, green, blue = (opacity * channel + (1 - opacity) * 255 for channel in BLUE)
    return red, green, blue


@pytest.mark.parametrize("client", CLIENTS)
def test_raster(deck: Tab, server: Running, site: str, client: str) -> None:
    """The page's code for a raster layer draws it, with the parameters as they were set."""
    code = copied(deck, map_page(server, "degrees", period=50), client)
    picture = deck.show(f"{site}/pages/{CLIENTS[client]}.html", VIEW, code)
    picture.check(VIEW, VIEW.zoom + 1, lambda place: degrees_colour(place, 50))


@pytest.mark.parametrize("client", CLIENTS)
def test_vector(deck: Tab, server: Running, site: str, client: str) -> None:
    """The page's code for a vector layer draws it; Leaflet's plugin takes tiles of 256 pixels."""
    code = copied(deck, map_page(server, "marks"), client)
    picture = deck.show(f"{site}/pages/{CLIENTS[client]}.html", VIEW, code)
    zoom = VIEW.zoom + (client == "Leaflet")
    picture.check(VIEW, zoom, lambda place: blended(place, zoom, OPACITY[client]))


def readme(client: str, server: Running, *, vector: bool = False) -> str:
    """The README's first or second statement for a client, with the addresses of a layer."""
    block = re.search(rf"\*\*{client}\*\*.*?```js\n(.*?)```", README.read_text(), re.DOTALL)
    assert block
    code = re.split(r"\n\n|\n(?=new )", block[1])[vector]
    token = server.token("hexagons" if vector else "degrees")
    return code.replace("http://127.0.0.1:8000", server.url).replace("TOKEN", token)


@pytest.mark.parametrize("client", CLIENTS)
def test_readme_raster(deck: Tab, server: Running, site: str, client: str) -> None:
    """The README's code for a raster layer draws it."""
    picture = deck.show(f"{site}/pages/{CLIENTS[client]}.html", VIEW, readme(client, server))
    picture.check(VIEW, VIEW.zoom + 1, lambda place: degrees_colour(place, 40))


@pytest.mark.parametrize("client", ["MapLibre", "deck.gl"])
def test_readme_vector(deck: Tab, server: Running, site: str, client: str) -> None:
    """The README's code for a vector layer draws something of the example."""
    picture = deck.show(f"{site}/pages/{CLIENTS[client]}.html", VIEW, readme(client, server, vector=True))
    assert (picture.pixels != WHITE).any(axis=-1).mean() > 0.01


def test_lonboard(tab: Tab, server: Running) -> None:
    """The page's Python code makes a layer of the address."""
    pytest.importorskip("lonboard", reason="the extra [clients] is not installed")
    names: dict[str, object] = {}
    exec(copied(tab, map_page(server, "degrees", period=50), "Python"), names)
    layer = names["layer"]
    assert layer.data == template(server, "degrees", ".png", period=50)  # type: ignore[attr-defined]
    assert fetch(layer.data.format(z=3, x=1, y=2))[1:4] == b"PNG"  # type: ignore[attr-defined]


def test_geopandas(tab: Tab, server: Running) -> None:
    """The page's Python code for vectors reads features of the tile in the middle of the map."""
    pytest.importorskip("lonboard", reason="the extra [clients] is not installed")
    names: dict[str, object] = {}
    exec(copied(tab, map_page(server, "marks") + "#6/48.7/9.2", "Python"), names)
    features = names["features"]
    assert features.name.tolist() == ["6/33/22"]  # type: ignore[attr-defined]
    assert features.crs == 4326  # type: ignore[attr-defined]
