"""Limits on request lines and headers: 64 kB and 10 seconds. uvicorn alone parses a 60 MB URL and stalls everybody.

httptools reports a URL in pieces and uvicorn adds them up, so both are counted here, as the bytes arrive.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT: Final = 64 * 1024
"""Bytes of a request line, and of all headers together."""
PATIENCE: Final = 10.0
"""Seconds within which a request's headers must have come."""
_LINES: Final = {
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
}


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, that closes what is too long or too slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._complete = False
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection: its first request must come soon."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete yet, before anything parses it."""
        if not self._complete:
            self._head += len(data)
            if self._head > LIMIT and b"\r\n\r\n" not in data[: LIMIT + 4]:
                self._refuse(431 if getattr(self, "headers", None) else 414)
                return
            if self._alarm is None:
                self._watch()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._complete = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        super().on_url(url)
        if len(self.url) > LIMIT:
            self._refuse(414)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._complete, self._head = True, 0
        self._stop_watching()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; the next one on this connection has its own head."""
        super().on_message_complete()
        self._complete, self._head = False, 0

    def _watch(self) -> None:
        self._alarm = self.loop.call_later(PATIENCE, self._too_slow)

    def _stop_watching(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _too_slow(self) -> None:
        self._alarm = None
        if not self._complete and not self.transport.is_closing() and self.cycle is None:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return
        reason = _LINES[status]
        self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason))
        self.transport.close()
