"""Frames between server and worker: two lengths, a message in msgpack, a body as it is. Lengths are checked first.

Server and nursery speak in packets instead, each a message of `ToNursery` or `FromNursery`.
"""

import struct
from typing import Final

import msgspec

from tileserver.jobs import Call, Called, Describe, Described, Failed, Fetch, Job, Read, Rendered, Source

Message = Source | Job | Describe | Rendered | Failed | Described | Call | Fetch | Read | Called

PROTOCOL: Final = 5
BODY_LIMIT: Final = 8 * 2**20
"""Bytes of a body in a frame."""
MESSAGE_LIMIT: Final = 64 * 2**20
CALL_LIMIT: Final = 2**20
"""Bytes of a call with its parameters."""
REPLY_LIMIT: Final = 4 * 2**20
"""Bytes of a reply without its body: numbers, facts, an error with its traceback."""
_HEAD: Final = struct.Struct("<II")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Message)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker and all that it starts may take."""

    memory: int
    """Bytes above what the worker holds when it is born."""
    scratch: int
    """Bytes in the scratch folder; also of any single file."""
    cache: int = 2 * 10**9
    """Bytes that all workers of an account may keep in their folder for results of `@cache`."""
    tasks: int = 256
    """Processes and threads."""
    open_files: int = 4096
    """Of one process."""


class Birth(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """To the nursery: a worker is wanted. With it come its channel, output pipes, results, calls and files."""

    id: int
    scratch: str
    limits: Limits
    cache: str = ""
    """The account's folder, which outlives the worker; empty where nothing is kept."""
    read: tuple[str, ...] = ()
    """All that it may read; nothing where it is not confined."""


class End(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """To the nursery: end this worker and everything it started."""

    id: int


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From the nursery: it has imported everything and can fork."""

    protocol: int
    pid: int


class Born(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From the nursery: the worker is there."""

    id: int
    pid: int


class Unborn(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From the nursery: the system gives no process for the worker."""

    id: int
    reason: str


class Died(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From the nursery: the worker has ended, and so has what it left behind."""

    id: int
    status: int
    """Its exit status; the negative number of the signal that ended it."""
    breach: str = ""
    """The code of the limit for which it was ended; empty where it was not."""


ToNursery = Birth | End
FromNursery = Hello | Born | Unborn | Died


class FrameError(ValueError):
    """What came is no frame of ours."""


def pack(message: Message, body: bytes = b"") -> bytes:
    """A frame."""
    packed = _ENCODER.encode(message)
    return _HEAD.pack(len(packed), len(body)) + packed + body


class Assembler:
    """Frames out of the pieces that a stream comes in."""

    def __init__(self, body_limit: int = BODY_LIMIT, message_limit: int = MESSAGE_LIMIT) -> None:
        self._pieces = bytearray()
        self._body_limit, self._message_limit = body_limit, message_limit

    def feed(self, piece: bytes) -> list[tuple[Message, bytes]]:
        """The frames that `piece` completes.

        Raises:
            FrameError: a length above the limit, or a message that is none of ours.
        """
        buffer: bytes | bytearray = piece
        if self._pieces:
            self._pieces += piece
            buffer = self._pieces
        frames, start = [], 0
        while frame := self._frame(buffer, start):
            message, body, start = frame
            frames.append((message, body))
        if buffer is not piece:
            del self._pieces[:start]
        elif start < len(piece):  # mostly nothing is left
            self._pieces += piece[start:]
        return frames

    def _frame(self, buffer: bytes | bytearray, start: int) -> tuple[Message, bytes, int] | None:
        """The frame that begins at `start`, and where it ends; None where it is not all there."""
        there = len(buffer) - start - _HEAD.size
        if there < 0:
            return None
        message, body = _HEAD.unpack_from(buffer, start)
        if message > self._message_limit or body > self._body_limit:
            raise FrameError("a frame is larger than it may be")
        if there < message + body:
            return None
        middle = start + _HEAD.size + message
        try:
            decoded = _DECODER.decode(buffer[start + _HEAD.size : middle])
        except msgspec.DecodeError as error:
            raise FrameError(str(error)) from None
        return decoded, bytes(buffer[middle : middle + body]), middle + body
