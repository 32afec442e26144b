"""Frames between server and worker: two lengths, a message in msgpack, a body as it is. Lengths are checked first."""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source, Started

Message = Source | Job | Describe | Started | Rendered | Failed | Described

PROTOCOL: Final = 1
BODY_LIMIT: Final = 8 * 2**20
"""Bytes of a body in a frame; a larger result goes through a file."""
MESSAGE_LIMIT: Final = 64 * 2**20
_HEAD: Final = struct.Struct("<II")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Message)


class FrameError(ValueError):
    """What came is no frame of ours."""


def pack(message: Message, body: bytes = b"") -> bytes:
    """A frame."""
    packed = _ENCODER.encode(message)
    return _HEAD.pack(len(packed), len(body)) + packed + body


class Assembler:
    """Frames out of the pieces that a stream comes in."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[Message, bytes]]:
        """The frames that `piece` completes.

        Raises:
            FrameError: a length above the limit, or a message that is none of ours.
        """
        self._pieces += piece
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[Message, bytes] | None:
        if len(self._pieces) < _HEAD.size:
            return None
        message, body = _HEAD.unpack_from(self._pieces)
        if message > MESSAGE_LIMIT or body > BODY_LIMIT:
            raise FrameError("a frame is larger than it may be")
        middle, end = _HEAD.size + message, _HEAD.size + message + body
        if len(self._pieces) < end:
            return None
        try:
            decoded = _DECODER.decode(memoryview(self._pieces)[_HEAD.size : middle])
        except msgspec.DecodeError as error:
            raise FrameError(str(error)) from None
        raw = bytes(memoryview(self._pieces)[middle:end])
        del self._pieces[:end]
        return decoded, raw
