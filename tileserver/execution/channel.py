"""What server processes say to each other over a Unix socket: two lengths, a message in msgpack, a body in pieces."""

import asyncio
import mmap
import socket
import struct
from typing import Any, Final

import msgspec

from tileserver.execution.executor import ExecutorStats
from tileserver.frames import MESSAGE_LIMIT, FrameError
from tileserver.jobs import Described, Job, Rendered, Source
from tileserver.refusals import Refused

PIECE: Final = 256 * 1024
"""Bytes of a body that are sent or read at once; the loop turns in between."""
_BODY_LIMIT: Final = 2**30
_HEAD: Final = struct.Struct("<IQ")


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message of a connection. It and `Refused` stay as they are: other versions have to understand them."""

    version: str
    """Of the package."""
    protocol: int


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """See `Executor.run`."""

    job: Job
    source: Source
    group: str
    nested: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """See `Executor.describe`."""

    source: Source
    options: tuple[str, ...]
    defaults: tuple[str, ...]


class Watch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks for `Stats` for as long as the connection lasts."""


class Stats(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How the pool stands."""

    stats: ExecutorStats


Message = Hello | Run | Ask | Watch | Stats | Refused | Rendered | Described
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Message)


async def connect(address: str) -> "Channel":
    """A connection to the socket at a path.

    Raises:
        OSError: nobody is there, or too many wait to be accepted.
    """
    # Not left to the loop: where the backlog is full, asyncio goes on with a socket that is not connected.
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return Channel(*await asyncio.open_unix_connection(sock=connection))


class Channel:
    """One connection, from either end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, message: Message) -> None:
        """Send a message; what it has of a body goes behind it, as fast as the other end reads.

        Raises:
            ConnectionError: the other end has gone.
        """
        body = memoryview(message.body if isinstance(message, Rendered) else b"")
        if isinstance(message, Rendered):
            message = msgspec.structs.replace(message, body=b"")
        packed = _ENCODER.encode(message)
        self._writer.write(_HEAD.pack(len(packed), len(body)) + packed)
        for start in range(0, len(body), PIECE):
            self._writer.write(body[start : start + PIECE])
            await self._writer.drain()
        await self._writer.drain()

    async def receive(self) -> Message:
        """The next message.

        Raises:
            ConnectionError: the other end has gone.
            FrameError: what came is no message of ours.
        """
        try:
            length, body = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            if length > MESSAGE_LIMIT or body > _BODY_LIMIT:
                raise FrameError("a message is larger than it may be")
            message: Message = _DECODER.decode(await self._reader.readexactly(length))
            if body and isinstance(message, Rendered):
                content: Any = await self._body(body)
                message = msgspec.structs.replace(message, body=content)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("the other process has gone") from None
        except msgspec.DecodeError as error:
            raise FrameError(str(error)) from None
        return message

    async def _body(self, length: int) -> bytes | mmap.mmap:
        if length <= PIECE:
            return await self._reader.readexactly(length)
        # Not a bytearray, which is filled with zeros first: for half a gigabyte the loop would stand for a second.
        body, filled = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0
        while filled < length:
            piece = await self._reader.read(min(PIECE, length - filled))
            if not piece:
                raise ConnectionResetError("the other process has gone")
            body[filled : filled + len(piece)] = piece
            filled += len(piece)
        return body

    async def finish(self) -> None:
        """End the connection when everything has been sent."""
        self._writer.close()
        await self._writer.wait_closed()

    def close(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()
