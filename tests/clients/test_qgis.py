"""QGIS without a screen: XYZ and vector tile connections, by the address that the map page offers to copy."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from absent import missing
from golden import VIEWS, WHITE, Picture, View, address_colour, degrees_colour, is_hole, marks_colour, squares_colour
from served import map_page
from server import Running
from tabs import Tab

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "qgis_draw.py"
Draw = Callable[[str, str, View], Picture]


@pytest.fixture(scope="module")
def python() -> str:
    """Debian's interpreter, which QGIS is built for."""
    found = shutil.which("python3", path="/usr/bin")
    if not found or subprocess.run([found, "-c", "import qgis.core"], capture_output=True, check=False).returncode:
        missing("QGIS (python3-qgis) is not installed")
    return str(found)


@pytest.fixture
def draw(python: str, tmp_path: Path) -> Draw:
    """Draws a layer in a fresh profile: QGIS keeps tiles there from run to run."""

    def draw(kind: str, uri: str, view: View) -> Picture:
        job = {"kind": kind, "uri": uri, "extent": view.extent, "width": view.width, "height": view.height}
        job["png"] = str(tmp_path / "drawn.png")
        environment = {"HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen", "PATH": os.environ["PATH"]}
        answer = subprocess.run(
            [python, SCRIPT], input=json.dumps(job), env=environment, capture_output=True, text=True, check=True
        )
        assert json.loads(answer.stdout.splitlines()[-1]) == {"valid": True, "said": []}
        return Picture(tmp_path / "drawn.png")

    return draw


def copied(tab: Tab, address: str) -> str:
    """What stands behind `QGIS` on a map page."""
    tab.page.goto(address)
    return tab.page.get_by_label("QGIS", exact=True).input_value()


@pytest.mark.parametrize("view", VIEWS)
def test_raster_addresses(tab: Tab, server: Running, draw: Draw, view: View) -> None:
    """The colour that follows from z, x and y stands where that tile belongs."""
    picture = draw("raster", copied(tab, map_page(server, "address")), view)
    picture.check(view, view.zoom + 1, lambda place: address_colour(place, view.zoom + 1))


@pytest.mark.parametrize("view", VIEWS)
def test_raster_bounds(tab: Tab, server: Running, draw: Draw, view: View) -> None:
    """A parameter of the page reaches the function; the colours stand at their longitude and latitude."""
    picture = draw("raster", copied(tab, map_page(server, "degrees", period=view.period)), view)
    picture.check(view, view.zoom + 1, lambda place: degrees_colour(place, view.period))


def test_dense_tiles(tab: Tab, server: Running, draw: Draw) -> None:
    """`@2x` tiles lie where the others do."""
    view = VIEWS[1]
    copied_uri = copied(tab, map_page(server, "address"))
    picture = draw("raster", copied_uri.replace(".png", "%402x.png") + "&tilePixelRatio=2", view)
    zoom = tile_zoom(picture, view)
    picture.check(view, zoom, lambda place: address_colour(place, zoom))


def tile_zoom(picture: Picture, view: View) -> int:
    """The zoom that QGIS chose, which its versions do differently: the red of the tiles says it."""
    reds = {picture.at(*pixel)[0] for pixel in view.pixels(view.zoom)} - {255.0}
    assert len(reds) == 1
    zoom = int(reds.pop() / 10)
    assert zoom in (view.zoom - 1, view.zoom, view.zoom + 1)
    return zoom


@pytest.mark.parametrize("view", VIEWS)
def test_vector(tab: Tab, server: Running, draw: Draw, view: View) -> None:
    """Each quarter lies in its tile, in the colour that its attributes say."""
    picture = draw("vector", copied(tab, map_page(server, "marks")), view)
    zoom = tile_zoom(picture, view)
    picture.check(view, zoom, lambda place: marks_colour(place, zoom))


@pytest.mark.parametrize("view", VIEWS)
def test_vector_bounds(tab: Tab, server: Running, draw: Draw, view: View) -> None:
    """Features at whole degrees stand there, whichever tiles they come in."""
    picture = draw("vector", copied(tab, map_page(server, "squares", period=view.period / 4)), view)
    picture.check(view, view.zoom, lambda place: squares_colour(place, view.period / 4))


def test_empty_tiles(tab: Tab, server: Running, draw: Draw) -> None:
    """Transparent images and 204 leave the ground as it is and are no warning in QGIS's log."""
    view = VIEWS[0]
    picture = draw("vector", copied(tab, map_page(server, "marks", holes="true")), view)
    zoom = tile_zoom(picture, view)
    picture.check(view, zoom, lambda place: WHITE if is_hole(place, zoom) else marks_colour(place, zoom))
    picture, zoom = draw("raster", copied(tab, map_page(server, "address", holes="true")), view), view.zoom + 1
    picture.check(view, zoom, lambda place: WHITE if is_hole(place, zoom) else address_colour(place, zoom))
