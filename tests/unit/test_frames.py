"""Frames on a stream: whole again out of any pieces, and refused before anything of what is too large is kept."""

import contextlib
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.frames import BODY_LIMIT, MESSAGE_LIMIT, Assembler, FrameError, pack
from tileserver.jobs import Called, Failed, Rendered

texts = st.text(max_size=30)
messages = st.one_of(
    st.builds(Rendered, id=st.integers(0, 2**40), media_type=texts, kind=texts, facts=st.dictionaries(texts, texts)),
    st.builds(Failed, id=st.integers(0, 2**40), code=texts, message=texts, line=st.none() | st.integers(0, 9999)),
    st.builds(Called, id=st.integers(0, 2**40), media_type=texts),
)


@given(st.lists(st.tuples(messages, st.binary(max_size=300)), max_size=6), st.data())
def test_frames_arrive_whole_whatever_the_pieces(frames: list[tuple[Any, bytes]], data: st.DataObject) -> None:
    """In their order, none before its last byte is there."""
    stream = b"".join(pack(message, body) for message, body in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    assembler, found = Assembler(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += assembler.feed(stream[start:end])
        complete = [pack(message, body) for message, body in frames]
        assert len(found) == sum(len(b"".join(complete[: n + 1])) <= end for n in range(len(complete)))
    assert found == frames


@pytest.mark.parametrize(
    "lengths", [(MESSAGE_LIMIT + 1, 0), (0, BODY_LIMIT + 1), (2**32 - 1, 2**32 - 1)], ids=["message", "body", "both"]
)
def test_what_is_too_large_is_refused_by_its_head(lengths: tuple[int, int]) -> None:
    """Before the rest of it has come."""
    with pytest.raises(FrameError, match="larger"):
        Assembler().feed(struct.pack("<II", *lengths))


def test_the_limit_of_a_body_is_the_readers() -> None:
    """Who expects more may take more."""
    body = bytes(2000)
    frame = pack(Called(id=1), body)
    with pytest.raises(FrameError):
        Assembler(1999).feed(frame)
    assert Assembler(2000).feed(frame) == [(Called(id=1), body)]


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"type": "Nothing"}), bytes(100)])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(FrameError):
        Assembler().feed(struct.pack("<II", len(raw), 0) + raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    """They are refused, or more are waited for."""
    with contextlib.suppress(FrameError):
        assert all(pack(*frame) for frame in Assembler().feed(raw))
