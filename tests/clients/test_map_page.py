"""The server's own map page in Chromium: what it draws, asks for, tells and offers to copy."""

import functools
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from golden import Colour, Place, View, address_colour, degrees_colour, is_hole, is_marked, tile_at
from served import map_page, template, tilejson
from server import Running, fetch
from tabs import Tab, opened

from tileserver.web.access import COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

OCEAN = View(lon=-128.3, lat=-41.7, zoom=5, width=1200, height=700, covered=(360, 60))
"""Water as far as the picture goes, so no coast in front of the layer; the panel on the left, buttons on the right."""
SEA: Colour = (0xDF, 0xE7, 0xEF)
FILL: Colour = (0x1F, 0x5E, 0xFF)


@pytest.fixture
def tab(chromium: "Browser") -> "Tab":
    """A tab of the ocean's size that may use the clipboard."""
    size = {"width": OCEAN.width, "height": OCEAN.height}
    with opened(chromium, viewport=size, permissions=["clipboard-read", "clipboard-write"]) as tab:
        yield tab


@pytest.fixture(scope="module")
def session(server: Running) -> str:
    """The owner's, opened by the link that `serve` printed, which works once."""
    with server.client() as client:
        return client.get(server.wait_for(r"sign in +(http\S+)")[1]).cookies[COOKIE]


def sign_in(tab: Tab, server: Running, session: str) -> None:
    """What the tab asks from now on, the owner asks."""
    tab.page.context.add_cookies([{"name": COOKIE, "value": session, "url": server.url, "sameSite": "Strict"}])


def at(view: View) -> str:
    """The fragment of the address for a view."""
    return f"#{view.zoom}/{view.lat}/{view.lon}"


def visit(tab: Tab, address: str) -> None:
    """Open a map page and wait for the whole picture."""
    tab.page.goto(address)
    tab.settle()


def filled(place: Place, *, holes: bool = False) -> Colour:
    """The quarters of `marks` as the page draws them, over water."""
    if not is_marked(place, OCEAN.zoom) or (holes and is_hole(place, OCEAN.zoom)):
        return SEA
    red, green, blue = (0.28 * above + 0.72 * below for above, below in zip(FILL, SEA, strict=True))
    return red, green, blue


def test_raster_addresses(tab: Tab, server: Running) -> None:
    """The view is read from the fragment; the colour that follows from z, x and y stands where that tile belongs."""
    visit(tab, map_page(server, "address") + at(OCEAN))
    zoom = OCEAN.zoom + 1
    tab.picture().check(OCEAN, zoom, lambda place: address_colour(place, zoom))


def test_raster_bounds(tab: Tab, server: Running) -> None:
    """A parameter in the page's address reaches the function; colours stand at their longitude and latitude."""
    visit(tab, map_page(server, "degrees", period=OCEAN.period) + at(OCEAN))
    picture = tab.picture()
    picture.check(OCEAN, OCEAN.zoom + 1, lambda place: degrees_colour(place, OCEAN.period))


def test_vector(tab: Tab, server: Running) -> None:
    """Each quarter lies in its tile; the pointer brings up its attributes."""
    visit(tab, map_page(server, "marks") + at(OCEAN))
    tab.picture().check(OCEAN, OCEAN.zoom, filled)
    pixels = list(OCEAN.pixels(OCEAN.zoom))
    column, row = next(pixel for pixel in pixels if is_marked(OCEAN.place(*pixel), OCEAN.zoom))
    tab.page.mouse.move(column, row)
    z, x, y = tile_at(OCEAN.place(column, row), OCEAN.zoom)
    tab.page.locator(".facts").get_by_text(f"{z}/{x}/{y}").wait_for()


def test_no_other_host(tab: Tab, server: Running) -> None:
    """Whatever the page loads comes from the server; what the author wrote as attribution stays text."""
    visit(tab, map_page(server, "degrees"))
    elsewhere = [url for url in tab.requests if not url.startswith((server.url + "/", "data:", "blob:" + server.url))]
    assert elsewhere == []
    assert "Golden <b>degrees</b>" in tab.page.locator(".maplibregl-ctrl-attrib").inner_text()


def test_the_view_is_kept_in_the_fragment(tab: Tab, server: Running) -> None:
    """Moving writes the view into the address, and the address alone brings it back."""
    visit(tab, map_page(server, "address") + "#4/-41.7/-128.3")
    tab.page.get_by_label("Zoom in").click()
    tab.page.wait_for_url("**#5/**")
    address = tab.page.url
    tab.page.goto("about:blank")
    tab.requests.clear()
    visit(tab, address)
    assert tab.zooms() == {str(OCEAN.zoom + 1)}
    tab.picture().check(OCEAN, 6, lambda place: address_colour(place, 6))


def test_a_control_changes_tiles_and_picture(tab: Tab, server: Running) -> None:
    """A parameter that is changed goes into the tiles' address, the page's own, and what there is to copy."""
    visit(tab, map_page(server, "degrees", period=OCEAN.period) + at(OCEAN))
    with tab.page.expect_request(lambda request: "period=25" in request.url and "/6/" in request.url):
        tab.page.get_by_label("period").fill("25")
    tab.settle()
    tab.picture().check(OCEAN, OCEAN.zoom + 1, lambda place: degrees_colour(place, 25))
    assert parse_qs(urlsplit(tab.page.url).query) == {"period": ["25"]}
    assert tab.page.get_by_label("Tile URL", exact=True).input_value().endswith(".png?period=25")


def test_a_switch_changes_the_features(tab: Tab, server: Running) -> None:
    """What is drawn follows a switch, both ways; also where some tiles stay as they were, or become empty."""
    visit(tab, map_page(server, "marks") + at(OCEAN))
    switch = tab.page.get_by_label("holes")
    for holes, url in ((True, "holes=true"), (False, "?v="), (True, "holes=true")):
        with tab.page.expect_request(lambda request, url=url: url in request.url and ".mvt" in request.url):
            switch.click()
        tab.settle()
        tab.picture().check(OCEAN, OCEAN.zoom, functools.partial(filled, holes=holes))


def test_strangers_read_one_sentence(tab: Tab, server: Running) -> None:
    """When a function fails, whoever has the link learns that, and nothing of what it said."""
    tab.meant = "422"
    tab.page.goto(map_page(server, "failing"))
    panel = tab.page.get_by_role("alert")
    panel.get_by_text("failed").wait_for()
    assert panel.locator("p").all_inner_texts() == [
        "The function behind this layer failed; its owner can see why on the layer's map page."
    ]
    assert "secret" not in tab.page.content()


def test_owners_read_why(tab: Tab, server: Running, session: str) -> None:
    """Signed in by the link that `serve` printed, the owner reads message, line and what was printed."""
    tab.meant = "422"
    sign_in(tab, server, session)
    tab.page.goto(server.url)
    tab.page.get_by_role("link", name="failing").click()
    panel = tab.page.get_by_role("alert")
    panel.get_by_text("ValueError: the secret is 42").first.wait_for()
    assert panel.get_by_text("Line 11 of").is_visible()
    assert panel.locator("details[open]").get_by_text("about to fail").is_visible()


def test_on_a_phone(chromium: "Browser", server: Running) -> None:
    """The panel is folded and opens at a tap; the dense screen gets `@2x` tiles, in their places."""
    view = View(lon=-128.3, lat=-41.7, zoom=4, width=390, height=844)
    size = {"width": view.width, "height": view.height}
    with opened(chromium, scale=2, viewport=size, has_touch=True, is_mobile=True) as tab:
        visit(tab, map_page(server, "address") + at(view))
        upper = View(lon=view.lon, lat=view.place(195, 350)[1], zoom=4, width=390, height=700)
        tab.picture().check(upper, 5, lambda place: address_colour(place, 5))
        assert all("@2x" in url for url in tab.requests if ".png" in url)
        content = tab.page.locator("#content")
        assert content.is_hidden()
        tab.page.get_by_label("Unfold the panel").tap()
        assert content.is_visible()
        box = tab.page.locator("#panel").bounding_box()
        assert box and (box["x"], box["width"]) == (0, 390)


def test_what_is_copied(tab: Tab, server: Running) -> None:
    """Each button puts the address beside it on the clipboard, parameters and all, and the address works."""
    tab.page.goto(map_page(server, "degrees", period=20))
    copied = {}
    for label in ("Tile URL", "TileJSON", "QGIS"):
        tab.page.get_by_label(f"Copy {label}").click()
        tab.page.get_by_text(f"{label} copied").wait_for(state="attached")
        copied[label] = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied["Tile URL"] == template(server, "degrees", ".png", period=20)
    assert copied["TileJSON"] == tilejson(server, "degrees", period=20)
    assert parse_qs(copied["QGIS"])["url"] == [copied["Tile URL"]]
    assert "period=20" in json.loads(fetch(copied["TileJSON"]))["tiles"][0]


def test_files_are_of_the_middle_tile(tab: Tab, server: Running) -> None:
    """A function that takes a tile gives files of the one in the middle, also after moving."""
    visit(tab, map_page(server, "marks") + at(OCEAN))
    link = tab.page.get_by_role("link", name="geojson")
    for zoom in (OCEAN.zoom, OCEAN.zoom + 1):
        (feature,) = json.loads(fetch(link.evaluate("link => link.href")))["features"]
        z, x, y = tile_at((OCEAN.lon, OCEAN.lat), zoom)
        assert feature["properties"]["name"] == f"{z}/{x}/{y}"
        tab.page.get_by_label("Zoom in").click()
        tab.page.wait_for_url(f"**#{zoom + 1}/**")
    tab.settle()


def test_documents(tab: Tab, server: Running) -> None:
    """What a function wrote is shown in a frame that reaches nothing of ours; parameters go to it."""
    tab.page.goto(map_page(server, "page"))
    written = tab.page.frame_locator("iframe[sandbox='allow-scripts']").locator("h1")
    assert written.inner_text() == "Hello world"
    tab.page.get_by_label("name").fill("you")
    written.filter(has_text="Hello you").wait_for()
    assert tab.page.get_by_label("File URL", exact=True).input_value().endswith("?name=you")


def test_owners_follow_the_runs(tab: Tab, server: Running, session: str) -> None:
    """Newest first while the panel is open: what each printed and raised; one that is opened shows where it ran."""
    sign_in(tab, server, session)
    visit(tab, map_page(server, "talking") + at(OCEAN))
    assert not [url for url in tab.requests if "/logs" in url]
    tab.page.get_by_role("button", name="Runs").click()
    runs = tab.page.get_by_role("complementary", name="Runs")
    runs.locator("li").first.wait_for()
    fetch(f"{server.url}/tiles/{server.token('talking')}/7/100/50.png")
    newest = runs.locator("li", has_text="7/100/50")
    newest.get_by_text("this is 7/100/50").wait_for()
    newest.locator("summary").click()
    assert newest.locator("pre").inner_text() == "this is 7/100/50\nand no more"
    assert 'greeting = "hello"' in newest.locator("dl").inner_text()
    tab.page.wait_for_url(re.compile(r"#6/35\.461/10[23]\."))  # beside the panels its middle is the tile's
    tab.page.get_by_label("Close the runs").click()
    assert runs.is_hidden()
    tab.settle()


def test_runs_that_failed(tab: Tab, server: Running, session: str) -> None:
    """Message, line and traceback; those that went well can be left out."""
    tab.meant = "422"
    sign_in(tab, server, session)
    tab.page.goto(map_page(server, "failing"))
    tab.page.get_by_role("button", name="Runs").click()
    runs = tab.page.get_by_role("complementary", name="Runs")
    runs.locator("li.failed summary", has_text="ValueError: the secret is 42").first.click()
    failed = runs.locator("details[open]")
    assert failed.locator(".where").inner_text() == "Line 11 of the function's file"
    assert "failing.py" in failed.locator("pre").last.inner_text()
    runs.get_by_label("Failed only").check()
    assert runs.locator("li.ok:visible").count() == 0
    assert tab.page.get_by_role("alert").is_hidden()


def test_strangers_see_no_runs(tab: Tab, server: Running) -> None:
    """Neither button nor panel, nothing that is loaded for them, and nothing where they would be."""
    visit(tab, map_page(server, "talking") + at(OCEAN))
    assert tab.page.get_by_role("button", name="Runs").count() == 0
    assert not [url for url in tab.requests if "runs" in url or "/logs" in url]
    tab.meant = "401"
    status = "fetch('../../api/v1/udf/talking/logs').then((answer) => answer.status)"
    assert tab.page.evaluate(status) == 401


def test_runs_on_a_phone(chromium: "Browser", server: Running, session: str) -> None:
    """From below, over the whole width; the tile of an opened run is above it."""
    with opened(chromium, scale=2, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as tab:
        sign_in(tab, server, session)
        visit(tab, map_page(server, "talking") + at(OCEAN))
        tab.page.get_by_role("button", name="Runs").tap()
        runs = tab.page.get_by_role("complementary", name="Runs")
        runs.locator("li").first.wait_for()
        box = runs.bounding_box()
        assert box and (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)
        assert box["y"] > 300
        runs.locator("summary").first.tap()
        runs.locator("details[open]").get_by_text("and no more").wait_for()
        tab.settle()
