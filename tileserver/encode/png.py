"""PNG: our own filters and chunks around the fastest deflate that there is (ISA-L).

The format is W3C's "Portable Network Graphics", third edition: https://www.w3.org/TR/png-3/
"""

import struct
import zlib
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from tileserver.encode import filters, palette
from tileserver.encode.palette import Indexed

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}
"""By the number of channels: grey, grey + alpha, RGB, RGBA."""
_PALETTE: Final = 3
_SMALLEST: Final = 9
"""zlib's level, for who has time."""
_WIDE, _NARROW = 15, 10
"""Binary logarithms of the bytes back to which deflate looks for what is alike. In noise that is there by chance: it
takes up to twice the time, and what is farther than a kilobyte takes more bytes than it stands for."""


def encode(array: NDArray[Any] | Indexed, *, level: int = 1, smallest: bool = False) -> bytes:
    """A PNG file of 8 or 16 bits per channel, without alpha where all is opaque; of few colours with a palette.

    Args:
        array: (height, width) or (height, width, channels), uint8 or uint16; 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. Or
            numbers of colours, with these.
        level: of ISA-L's deflate, 0 to 3.
        smallest: whether to take the time for as few bytes as there can be.

    Raises:
        ValueError: the array has another type or shape, or no pixel.
    """
    if isinstance(array, Indexed):
        return _indexed(array, level, smallest=smallest)
    pixels = array[..., np.newaxis] if array.ndim == 2 else array
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES:
        raise ValueError(f"a {array.dtype} array of shape {array.shape} is not an image of 8 or 16 bits")
    if pixels.size == 0:
        raise ValueError(f"an array of shape {array.shape} has no pixel")
    few = palette.of(pixels, thoroughly=smallest)
    if few is not None:
        return _occurring(few, level, smallest=smallest)
    return _coloured(_without_needless_alpha(pixels), level, smallest=smallest)


def blank(width: int, height: int) -> bytes:
    """A PNG file that is transparent everywhere."""
    return constant(width, height, bytes(4))


@lru_cache(64)
def constant(width: int, height: int, colour: bytes) -> bytes:
    """A PNG file of one colour: RGBA."""
    return _packed(Indexed(np.zeros((height, width), np.uint8), np.frombuffer(colour, np.uint8)[np.newaxis]), 3)


def _coloured(pixels: NDArray[Any], level: int, *, smallest: bool) -> bytes:
    height, width, channels = pixels.shape
    bytes_each = pixels.dtype.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).reshape(height, width * channels).view(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 8 * bytes_each, _COLOUR_TYPES[channels], 0, 0, 0)
    return _file((b"IHDR", header), (b"IDAT", _deflated(rows, channels * bytes_each, level, smallest=smallest)))


def _indexed(image: Indexed, level: int, *, smallest: bool) -> bytes:
    return _occurring(image.between(int(image.numbers.min()), int(image.numbers.max())), level, smallest=smallest)


def _occurring(image: Indexed, level: int, *, smallest: bool) -> bytes:
    """Of an image whose first and last colour occur."""
    if len(image.colours) == 1:
        height, width = image.numbers.shape
        return constant(width, height, image.colours.tobytes())
    return _packed(image, level, smallest=smallest)


def _packed(image: Indexed, level: int, *, smallest: bool = False) -> bytes:
    height, width = image.numbers.shape
    bits, rows = image.packed()
    header = struct.pack(">IIBBBBB", width, height, bits, _PALETTE, 0, 0, 0)
    colours, alphas = image.colours[:, :3].tobytes(), image.alphas()
    chunks = [(b"IHDR", header), (b"PLTE", colours), *([(b"tRNS", alphas)] if alphas else [])]
    # numbers of neighbouring colours are no neighbours, unless they are steps of a range
    smooth = smallest or (image.steps and bits == 8)
    body = _deflated(rows, 1, level, smallest=smallest) if smooth else _unfiltered(rows, level)
    return _file(*chunks, (b"IDAT", body))


def _unfiltered(rows: NDArray[np.uint8], level: int) -> bytes:
    return bytes(isal_zlib.compress(filters.unfiltered(rows), level))


def _deflated(rows: NDArray[np.uint8], step: int, level: int, *, smallest: bool) -> bytes:
    """Args: step: bytes of a pixel."""
    quick = filters.filtered(rows, step)
    if not smallest:
        return bytes(isal_zlib.compress(quick, level, _NARROW if filters.is_noise(quick) else _WIDE))
    tries = (quick, filters.unfiltered(rows), filters.best(rows, step))
    return min((zlib.compress(each.data, _SMALLEST) for each in tries), key=len)


def _without_needless_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.shape[2] in (1, 3) or not _is_opaque(pixels):
        return np.ascontiguousarray(pixels)
    # channel by channel: four times faster than a copy of all but the last
    return np.stack([pixels[..., channel] for channel in range(pixels.shape[2] - 1)], axis=-1)


def _is_opaque(pixels: NDArray[Any]) -> bool:
    if pixels.dtype == np.uint8 and pixels.shape[2] == 4:
        # by whole words: five times faster than by every fourth byte
        return int(np.bitwise_and.reduce(np.ascontiguousarray(pixels).view("<u4"), axis=None)) >> 24 == palette.OPAQUE
    return bool((pixels[..., -1] == np.iinfo(pixels.dtype).max).all())


def _file(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"".join(chain([_SIGNATURE], *(_chunk(kind, data) for kind, data in chunks), _END))


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)


_END: Final = _chunk(b"IEND", b"")
