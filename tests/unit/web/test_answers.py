"""Answers as HTTP: codings, and what a worker cannot make of them."""

import asyncio
from typing import Any

import pytest
from isal import igzip

from tileserver.errors import leaves
from tileserver.formats import FORMATS, Response, is_media_type
from tileserver.web import answers
from tileserver.web.answers import STATUS, Prepared, send_prepared, takes_gzip


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (b"gzip", True),
        (b"gzip, deflate, br", True),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"gzip;q=0.5", True),
        (b"br;q=0, gzip", True),
        (b"", False),
        (b"identity", False),
        (b"br", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"identity, gzip;q=0", False),
    ],
)
def test_gzip_is_sent_to_who_takes_it(value: bytes, taken: bool) -> None:
    """Naming it to refuse it is no asking for it (RFC 9110, section 12.5.3)."""
    assert takes_gzip(value) == taken


def sent(answer: Prepared, *headers: tuple[bytes, bytes]) -> tuple[dict[str, Any], bytes]:
    """Start message, and the whole body."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(send_prepared({"headers": list(headers), "method": "GET"}, send, answer, b""))
    return messages[0], b"".join(each["body"] for each in messages[1:])


def coded(body: bytes) -> Prepared:
    entity = [(b"content-type", b"text/plain"), (b"content-length", b"0"), (b"content-encoding", b"gzip")]
    return Prepared(b'"coded"', True, entity, [(b"etag", b'"coded"')], body)


def test_who_takes_no_gzip_gets_it_unpacked() -> None:
    """With a length and a validator of its own; large bodies too."""
    for size in (10, 3_000_000):
        start, body = sent(coded(igzip.compress(b"x" * size)))
        headers = dict(start["headers"])
        assert body == b"x" * size
        assert headers[b"content-length"] == b"%d" % size
        assert headers[b"etag"] != b'"coded"'
        assert b"content-encoding" not in headers


@pytest.mark.parametrize(
    "body",
    [igzip.compress(b"x" * 100_000), b"this is not gzip", igzip.compress(b"x" * 99)[:-9]],
    ids=["large", "none", "cut off"],  # gzip has the time in it
)
def test_what_cannot_be_unpacked_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """A small body that would fill the server's memory, and bodies that lie about their coding."""
    monkeypatch.setattr(answers, "_PLAIN_LIMIT", 50_000)
    start, received = sent(coded(body))
    assert received == body
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"


def test_every_error_has_a_status() -> None:
    """No code is left to chance."""
    assert {error.code for error in leaves()} == set(STATUS)


@pytest.mark.parametrize("text", ["text/html\r\nX: y", "text/html;\0", "", "html", "a/b\n", "a/" + "b" * 200, "é/x", 5])
def test_a_media_type_is_nothing_else(text: Any) -> None:
    """No second header, no control character; the author is told where the function makes it."""
    assert not is_media_type(text)
    with pytest.raises(ValueError, match="media type"):
        Response(b"", text)


def test_media_types_of_ours_and_usual_ones() -> None:
    """Every format's passes, with parameters too."""
    usual = ["text/html; charset=utf-8", "image/svg+xml", "application/vnd.apache.parquet", "model/gltf-binary"]
    assert all(is_media_type(each) for each in [*usual, *(each.media_type for each in FORMATS.values())])
    assert Response(b"x").media_type == "application/octet-stream"


def test_a_text_is_no_body() -> None:
    """The message says what is."""
    with pytest.raises(TypeError, match="bytes, not str"):
        Response("text")  # type: ignore[arg-type]
