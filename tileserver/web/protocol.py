"""Limits on request lines and headers: 64 kB and 10 seconds. uvicorn alone parses a 60 MB URL and stalls everybody.

httptools hands over a URL and a header in pieces or when they are whole, so what is counted here are the bytes that
came since anything became whole: a head that goes on for ever, and as well the frame around a body (extensions of
chunks, trailers), is cut off.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT: Final = 64 * 1024
"""Bytes of a request line, and of all headers together."""
PATIENCE: Final = 10.0
"""Seconds within which a request's headers must have come."""
PIPELINED: Final = 64
"""Requests of one connection that may wait for the answer to an earlier one."""
_LINES: Final = {
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
}


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, that closes what is too long or too slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loose = 0
        """Bytes since a head or a piece of a body was whole."""
        self._awaited = True
        """Whether a head is being waited for: the first one, or one that has begun."""
        self._refused = False
        """Whether what still comes is no longer looked at."""
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
        """Parse a piece; the callbacks below say what became whole."""
        self._loose += len(data)
        super().data_received(data)
        if self._loose:  # a request that came whole leaves nothing
            self._look_at_rest()

    def _look_at_rest(self) -> None:
        if self._loose > LIMIT:
            self._refuse(431 if self.headers else 414)
        elif self._awaited and self._alarm is None:
            self._watch()

    def on_message_begin(self) -> None:
        """A request begins, perhaps behind another in the same piece."""
        self._awaited = True
        self._loose = self._loose or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._awaited = False
        if self._alarm is not None:
            self._stop_watching()
        if self._loose > LIMIT:
            self._check_size()
        self._loose = 0
        if not self._refused:
            super().on_headers_complete()
        if len(self.pipeline) > PIPELINED:
            self._refused = True
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._loose = 0
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._loose = 0
        if not self._refused:
            super().on_message_complete()

    def _check_size(self) -> None:
        if len(self.url) > LIMIT:
            self._refuse(414)
        elif sum(len(name) + len(value) + 4 for name, value in self.headers) > LIMIT:
            self._refuse(431)

    def _watch(self) -> None:
        self._alarm = self.loop.call_later(PATIENCE, self._too_slow)

    def _stop_watching(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _too_slow(self) -> None:
        self._alarm = None
        if not self._awaited or self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._watch()  # an earlier answer is still on its way
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return
        self._refused = True
        reason = _LINES[status]
        self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason))
        self.transport.close()
