"""PNG: one filter, the fastest deflate that there is (ISA-L), no options."""

import struct
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}
"""By the number of channels: grey, grey + alpha, RGB, RGBA."""
_SUB: Final = 1
"""The filter that writes each byte as the difference from the pixel to its left."""


def encode(array: NDArray[np.uint8], *, level: int = 1) -> bytes:
    """A PNG file of 8 bits per channel, without an alpha channel where everything is opaque.

    Args:
        array: (height, width) or (height, width, channels), uint8; 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        level: Of ISA-L's deflate, 0 to 3.

    Raises:
        ValueError: the array has another type or shape, or no pixel.

    The format is W3C's "Portable Network Graphics", third edition.
    """
    pixels = array[..., np.newaxis] if array.ndim == 2 else array
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or pixels.size == 0:
        raise ValueError(f"a {array.dtype} array of shape {array.shape} is not an image of 8 bits")
    pixels = _without_needless_alpha(pixels)
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _file((b"IHDR", header), (b"IDAT", isal_zlib.compress(_filtered(pixels), level)))


def blank(width: int, height: int) -> bytes:
    """A PNG file that is transparent everywhere: a palette of one colour, one bit per pixel."""
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    rows = bytes((1 + (width + 7) // 8) * height)
    return _file((b"IHDR", header), (b"PLTE", bytes(3)), (b"tRNS", b"\0"), (b"IDAT", isal_zlib.compress(rows, 3)))


def _without_needless_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    opaque = pixels.shape[2] in (2, 4) and bool((pixels[..., -1] == 255).all())
    return pixels[..., :-1] if opaque else pixels


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Rows of bytes, (height, 1 + width * channels): the filter's number, then the differences modulo 256."""
    height, width, channels = pixels.shape
    flat = np.ascontiguousarray(pixels).reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _SUB
    rows[:, 1 : 1 + channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=rows[:, 1 + channels :])
    return rows


def _file(*chunks: tuple[bytes, bytes]) -> bytes:
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in (*chunks, (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
