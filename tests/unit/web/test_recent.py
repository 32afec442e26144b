"""Answers kept for a second: only what is still true, and only for requests that are the same."""

import asyncio
from typing import Any

import pytest

from tileserver.web.answers import Prepared
from tileserver.web.recent import Recent

ANSWER = Prepared(b'"tag"', True, [(b"content-type", b"x/y")], [(b"etag", b'"tag"')], b"body")


def ignored(times: int) -> None:
    """Nobody counts."""


def scope(
    *headers: tuple[bytes, bytes], method: str = "GET", path: bytes = b"/t", query: bytes = b""
) -> dict[str, Any]:
    return {"raw_path": path, "query_string": query, "method": method, "headers": list(headers)}


GZIP = (b"accept-encoding", b"gzip, br")


def test_the_same_request_gets_the_same_messages() -> None:
    """200 with everything, 304 for who has it; others go the long way."""

    async def check() -> None:
        recent = Recent(memoryview(bytearray(8)).cast("Q"))
        assert recent.find(scope(GZIP)) is None
        recent.keep(scope(), ANSWER, b"lookup;dur=0.1", 0, ignored)
        whole = recent.find(scope(GZIP))
        assert whole is not None
        assert (whole[0]["status"], whole[1]["body"]) == (200, b"body")
        assert (b"server-timing", b"lookup;dur=0.1") in whole[0]["headers"]
        unchanged = recent.find(scope((b"if-none-match", b'W/"a", "tag"'), GZIP))
        assert unchanged is not None
        assert (unchanged[0]["status"], unchanged[1]["body"]) == (304, b"")
        assert (b"content-type", b"x/y") not in unchanged[0]["headers"]
        others = [scope(), scope(GZIP, method="HEAD"), scope(GZIP, path=b"/u"), scope(GZIP, query=b"a=1")]
        assert [recent.find(each) for each in others] == [None] * 4

    asyncio.run(check())


def test_a_change_of_any_token_forgets_everything() -> None:
    """The generation is looked at for each request."""

    async def check() -> None:
        word = memoryview(bytearray(8)).cast("Q")
        recent = Recent(word)
        recent.keep(scope(), ANSWER, b"", 0, ignored)
        word[0] += 1
        assert recent.find(scope(GZIP)) is None
        recent.keep(scope(), ANSWER, b"", 1, ignored)
        assert recent.find(scope(GZIP)) is not None

    asyncio.run(check())


def test_what_was_found_before_a_change_is_not_kept_after_it() -> None:
    """An answer that is on its way while a token is switched off; newer ones stay beside it."""

    async def check() -> None:
        word = memoryview(bytearray(8)).cast("Q")
        recent = Recent(word)
        word[0] = 1
        recent.keep(scope(), ANSWER, b"", 0, ignored)
        assert recent.find(scope(GZIP)) is None
        recent.keep(scope(path=b"/u"), ANSWER, b"", 1, ignored)
        recent.keep(scope(), ANSWER, b"", 0, ignored)
        assert recent.find(scope(GZIP)) is None
        assert recent.find(scope(GZIP, path=b"/u")) is not None

    asyncio.run(check())


def test_a_second_later_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's clock empties it."""

    async def check() -> None:
        recent = Recent(memoryview(bytearray(8)).cast("Q"))
        loop = asyncio.get_running_loop()
        later: list[Any] = []
        monkeypatch.setattr(loop, "call_later", lambda delay, call: later.append((delay, call)))
        recent.keep(scope(), ANSWER, b"", 0, ignored)
        recent.keep(scope(path=b"/u"), ANSWER, b"", 0, ignored)
        [(delay, clear)] = later
        assert delay == 1
        clear()
        assert recent.find(scope(GZIP)) is None

    asyncio.run(check())
