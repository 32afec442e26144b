"""What the SDK shows in a notebook, in Chromium: the map in a frame of another site's page, and behind JupyterHub."""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from server import Running
from tabs import Tab

from tileserver import Client

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator

pytestmark = pytest.mark.slow

PREFIX = "/user/ann/"


class Notebook(BaseHTTPRequestHandler):
    """A page with a cell's output; below `proxy/PORT/` what listens on this machine, as jupyter-server-proxy has it."""

    output: ClassVar[str] = ""

    def do_GET(self) -> None:
        match = re.fullmatch(rf"{PREFIX}proxy/(\d+)(/.*)", self.path)
        if match is None:
            page = f"<!doctype html><title>Notebook</title><link rel=icon href=data:,>{self.output}"
            self._send(200, {"Content-Type": "text/html"}, page.encode())
            return
        asked = urllib.request.Request(f"http://127.0.0.1:{match[1]}{match[2]}", headers={"Host": self.headers["host"]})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                self._send(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                self._send(error.code, dict(error.headers), error.read())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def notebook() -> Iterator[str]:
    """The notebook's address: another site than the server's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    """The owner's."""
    with Client(server.url, server.private_token) as client:
        yield client


def framed(tab: Tab) -> "FrameLocator":
    """The map in the page's frame, once it has drawn."""
    frame = tab.page.frame_locator("iframe")
    frame.locator('#map[aria-busy="false"]').wait_for()
    return frame


def check(tab: Tab, frame: "FrameLocator", tiles: str) -> None:
    """The layer is named, drawn over all of the frame, and its tiles came from where they should."""
    assert frame.locator("h1").inner_text() == "degrees"
    box = frame.locator("#map canvas").bounding_box()
    assert box
    assert box["width"] > 800
    assert [each for each in tab.requests if each.startswith(tiles) and ".png" in each]


def test_a_udf_shows_its_map(
    tab: Tab, server: Running, client: Client, notebook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its tiles and its panel; the page around it stays where it is."""
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    Notebook.output = client.udf("degrees")._repr_html_()
    tab.page.goto(notebook)
    check(tab, framed(tab), f"{server.url}/tiles/{server.token('degrees')}/")
    assert tab.page.url == f"{notebook}/"


def test_behind_jupyterhub_it_goes_through_the_hub(
    tab: Tab, server: Running, client: Client, notebook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page, tiles and all that belongs to them: nothing is asked of the server itself."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", PREFIX)
    Notebook.output = client.udf("degrees")._repr_html_()
    tab.page.goto(notebook)
    port = server.url.rpartition(":")[2]
    check(tab, framed(tab), f"{notebook}{PREFIX}proxy/{port}/tiles/{server.token('degrees')}/")
    assert [each for each in tab.requests if each.startswith(server.url)] == []


def test_a_token_shows_links_that_lead_to_it(
    tab: Tab, server: Running, client: Client, notebook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map's opens the map."""
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    Notebook.output = client.token(server.token("degrees"))._repr_html_()
    tab.page.goto(notebook)
    with tab.page.context.expect_page() as opened:
        tab.page.locator("a").first.click()
    opened.value.wait_for_selector("#map")
    assert opened.value.url.partition("#")[0] == f"{server.url}/tiles/{server.token('degrees')}/map"
