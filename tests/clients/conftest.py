"""Real map clients drive one server over golden UDFs, from pages of another origin.

In .ci/full, which sets TILESERVER_TEST_CLIENTS=all, a client that is missing fails; elsewhere its tests are skipped.
TILESERVER_TEST_NPM names a folder that keeps the packages from npm between runs.
"""

import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "integration")]
import npm as packages  # noqa: E402
from absent import missing  # noqa: E402
from server import Running, serving  # noqa: E402
from tabs import Tab, opened  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OTHERS = [
    ROOT / "tests" / "integration" / "udfs" / "failing.py",
    ROOT / "tests" / "integration" / "udfs" / "page.py",
    ROOT / "examples" / "hexagons.py",
]
FLAGS = ["--force-color-profile=srgb", "--disable-lcd-text"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`tileserver serve` over the golden UDFs, one that fails, one that is a page, and an example."""
    with serving(HERE / "udfs", *OTHERS, data=tmp_path_factory.mktemp("clients") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of map clients."""
    if not shutil.which("npm"):
        missing("npm is not installed")
    kept = os.environ.get("TILESERVER_TEST_NPM")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("npm")
    try:
        packages.unpack(folder)
    except RuntimeError as error:
        missing(str(error))
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Files, without a line for each request."""

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def site(npm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server of the clients' pages: another origin than the tiles'."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "pages").symlink_to(HERE / "pages")
    (folder / "maplibre").symlink_to(ROOT / "tileserver" / "web" / "static" / "maplibre")
    (folder / "npm").symlink_to(npm)
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """Debian's Chromium under Playwright; per module, because Playwright holds the thread's event loop meanwhile."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra [clients] is not installed")
    executable = shutil.which("chromium")
    if not executable:
        missing("chromium is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: "Browser") -> Iterator[Tab]:
    """A tab for one test."""
    with opened(chromium) as tab:
        yield tab


@pytest.fixture
def deck(tab: Tab, npm: Path) -> Tab:
    """A tab for deck.gl, whose bundle takes its worker for vector tiles from a CDN: from npm's package here."""
    worker = npm / "@loaders.gl" / "mvt" / "dist" / "mvt-worker.js"
    headers = {"access-control-allow-origin": "*", "content-type": "text/javascript"}
    tab.page.route("**/mvt-worker.js", lambda route: route.fulfill(path=worker, headers=headers))
    return tab
