"""Tiles that memory answered within this second, by the request's own bytes, as the messages that were sent.

Everything here is at most a second old and goes at once when any token or UDF changes, so what was true of the answer
then is true of it now: it needs no parsing, no look-up and no new headers. Few statements, since each counts here:
in a busy process they cost several times what they cost alone (benchmarks/cached_tile.py).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tileserver.web.answers import Headers, Prepared, Scope

KEPT: Final = 512
BODY_LIMIT: Final = 2**18
"""Bytes: answers above it are not kept, so that at most 128 MB outlive their place in the memory tier by a second."""

Message = dict[str, Any]
Pair = tuple[Message, Message]


class Ready(NamedTuple):
    """An answer as ASGI messages: start and body."""

    whole: Pair
    unchanged: Pair
    etag: bytes
    coded: bool
    """Whether the body is gzipped."""
    given: list[int]
    """How many times it was given; the only item."""
    again: Callable[[int], None]
    """Is told so in the end."""


class Recent:
    """The answers of this second."""

    def __init__(self, generation: memoryview) -> None:
        self._word = generation
        self._generation = generation[0]
        self._given = 0
        self._ready: dict[tuple[bytes, bytes], Ready] = {}

    @property
    def given(self) -> int:
        """How many were given again."""
        return self._given + sum(each.given[0] for each in self._ready.values())

    def find(self, scope: Scope) -> Pair | None:
        """The messages that answer a GET as it was answered within this second; None where that is not so."""
        ready = self._ready.get((scope["raw_path"], scope["query_string"]))
        if ready is None or self._word[0] != self._generation or scope["method"] != "GET":
            return None
        plain = ready.coded
        for name, value in scope["headers"]:
            if name == b"authorization":  # the owner may be told more
                return None
            if name == b"if-none-match" and ready.etag in value:
                ready.given[0] += 1
                return ready.unchanged
            if name == b"accept-encoding" and b"gzip" in value and b"q=0" not in value:
                plain = False
        if plain:
            return None
        ready.given[0] += 1
        return ready.whole

    def keep(
        self, scope: Scope, answer: Prepared, timing: bytes, generation: int, again: Callable[[int], None]
    ) -> None:
        """Keep an answer that comes from memory, where it was looked for in this generation.

        Args:
            again: is told how many times it was given, once it goes.
        """
        if generation < self._generation:
            return
        if generation != self._generation:
            self.clear()
            self._generation = generation
        if not self._ready:
            asyncio.get_running_loop().call_later(1, self.clear)
        if len(self._ready) < KEPT and 0 < len(answer.body) <= BODY_LIMIT:
            self._ready.setdefault((scope["raw_path"], scope["query_string"]), _ready(answer, timing, again))

    def clear(self) -> None:
        """Forget all."""
        gone, self._ready = self._ready, {}
        for each in gone.values():
            if times := each.given[0]:
                self._given += times
                each.again(times)


def _ready(answer: Prepared, timing: bytes, again: Callable[[int], None]) -> Ready:
    headers = [*answer.headers, (b"server-timing", timing)]
    return Ready(
        whole=_pair(200, answer.entity + headers, answer.body),
        unchanged=_pair(304, headers, b""),
        etag=answer.etag,
        coded=answer.coded,
        given=[0],
        again=again,
    )


def _pair(status: int, headers: Headers, body: bytes) -> Pair:
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}
