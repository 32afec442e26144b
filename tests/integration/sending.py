"""Many requests, as bytes, sent to a server quickly, and what came back."""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note(self, request: bytes, status: int, body: bytes) -> None:
        """Count an answer; a server's own failure, and what shows its inside, are faults."""
        self.statuses[status] += 1
        excused = (status == 503 and b'"busy"' in body) or (status == 504 and b'"udf_timed_out"' in body)
        if (status >= 500 and not excused) or b"Traceback (most recent" in body:
            self.faults.append(f"{status} {body[:300]!r} to {request[:600]!r}")


def send(url: str, requests: Iterator[tuple[str, bytes]], connections: int = 8) -> Outcome:
    """Send them over several connections at once, which stay open as long as the server keeps them."""
    outcome, lock = Outcome(), threading.Lock()

    def follow() -> None:
        connection = _Connection(url)
        while True:
            with lock:
                method, request = next(requests, ("", b""))
            if not request:
                return connection.close()
            try:
                status, body = connection.exchange(method, request)
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    outcome.faults.append(f"{error!r} to {request[:600]!r}")
                connection.close()
            else:
                with lock:
                    outcome.note(request, status, body)

    threads = [threading.Thread(target=follow) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


class _Connection:
    """One that is made when it is needed."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._address = where.hostname or "", where.port or 80
        self._socket: socket.socket | None = None

    def exchange(self, method: str, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, 60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        answer = http.client.HTTPResponse(self._socket, method=method)
        answer.begin()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, body

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
