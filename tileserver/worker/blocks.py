"""Blocks in a worker: the server's files, mapped, with what cutting tiles from them takes."""

import mmap
import os
import socket

from tileserver import handed
from tileserver.encode import blocks
from tileserver.errors import BlockGoneError
from tileserver.jobs import Block, Stored
from tileserver.tiles import Tile

Opened = blocks.Block


class Unreadable:
    """What is no block, though its file is one of the server's."""


class Blocks:
    """The worker's end of the socket that descriptors come over."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._open: handed.Open[Opened | Unreadable] = handed.Open()

    def receive(self, block: Block) -> None:
        """Take what came with a job, before anything else is made of it: so both ends know the same files."""
        if block.stored is None or self._open.get(block.stored) is not None:
            return
        _, (descriptor,), _, _ = socket.recv_fds(self._socket, 1, 1)
        try:
            self._open.put(block.stored, _opened(descriptor, block))
        finally:
            os.close(descriptor)

    def get(self, block: Block) -> Opened | None:
        """What was received of a block; None where the function has to be called for it.

        Raises:
            BlockGoneError: it cannot be read.
        """
        if block.stored is None:
            return None
        found = self._open.get(block.stored)
        if not isinstance(found, Opened):
            raise BlockGoneError
        return found


def made(result: object, block: Block) -> Opened:
    """A block of what the function returned for it, which is not kept.

    Raises:
        BadResultError: no tile can be cut from that.
    """
    return Opened(blocks.draw(result).body, Tile(*block.tile))


def _opened(descriptor: int, block: Block) -> Opened | Unreadable:
    assert block.stored is not None
    try:
        return Opened(_mapped(descriptor, block.stored), Tile(*block.tile))
    except Exception:  # whatever it is that somebody else wrote there
        return Unreadable()


def _mapped(descriptor: int, file: Stored) -> memoryview:
    whole = mmap.mmap(descriptor, file.offset + file.length, access=mmap.ACCESS_READ)
    return memoryview(whole)[file.offset :]
