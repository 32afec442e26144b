"""Tabs of the browser, and what happened in them."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from golden import Picture, View

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@dataclass
class Tab:
    """A page in the browser, and what it did."""

    page: "Page"
    scale: int
    """Device pixels per CSS pixel."""
    requests: list[str] = field(default_factory=list)
    """Addresses, in their order."""
    meant: str = ""
    """What is in those messages of the console that belong to the test."""
    problems: list[str] = field(default_factory=list)
    """Errors and warnings of the console, exceptions, requests that came to nothing."""

    def watch(self) -> None:
        """Collect from now on."""
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, kind: str, text: str) -> None:
        """Software rendering complains of every picture that is taken."""
        meant = "GPU stall due to ReadPixels" in text or (self.meant and self.meant in text)
        if kind in ("error", "warning") and not meant:
            self.problems.append(text)

    def show(self, address: str, view: View, code: str) -> Picture:
        """Open one of our pages, have it draw, and take its picture."""
        self.page.goto(address)
        self.page.wait_for_function("window.show !== undefined")
        self.page.evaluate(
            "([view, code]) => show(view, code)", [{"lon": view.lon, "lat": view.lat, "zoom": view.zoom}, code]
        )
        return self.picture()

    def attributes(self, column: int, row: int) -> dict[str, Any] | None:
        """What the client knows of the feature under a pixel, its colour left out."""
        found = self.page.evaluate("([x, y]) => attributes(x, y)", [column, row])
        return found and {name: found[name] for name in ("z", "x", "y", "name")}

    def picture(self) -> Picture:
        """What is on the screen."""
        return Picture(self.page.screenshot(), scale=self.scale)

    def zooms(self) -> set[str]:
        """Of all tiles that it asked for."""
        found = (re.search(r"/tiles/[^/]+/(\d+)/\d+/\d+", address) for address in self.requests)
        return {match[1] for match in found if match}

    def settle(self) -> None:
        """Wait until our map page has everything in the picture."""
        self.page.wait_for_selector('#map[aria-busy="false"]')


@contextlib.contextmanager
def opened(browser: "Browser", scale: int = 1, **options: Any) -> Iterator[Tab]:
    """A tab in a fresh profile; nothing may have gone wrong in it by the end."""
    view = {"width": View.width, "height": View.height}
    context: BrowserContext = browser.new_context(**{"viewport": view, "device_scale_factor": scale} | options)
    context.set_default_timeout(30_000)
    tab = Tab(context.new_page(), scale)
    tab.watch()
    try:
        yield tab
    finally:
        context.close()
    assert not tab.problems, "\n".join(tab.problems)
