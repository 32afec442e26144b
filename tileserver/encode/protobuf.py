"""The part of Protocol Buffers' wire format that vector tiles need: varints and length-prefixed fields.

For many at once: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.ragged import Ragged, sums

Numbers = NDArray[np.uint64]


def varint(value: int) -> bytes:
    """One number, not negative: seven bits per byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field that holds a varint."""
    return varint(field << 3) + varint(value)


def message(field: int, body: bytes) -> bytes:
    """A field that holds text, a message or packed numbers."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def key(field: int, *, lengthy: bool = False) -> int:
    """What stands before a field's value: of a varint, or of something that says its length first."""
    return field << 3 | 2 * lengthy


def zigzag(values: NDArray[Any]) -> NDArray[Any]:
    """Signed integers, so that those near zero are short; unsigned, of the same size."""
    bits = 8 * values.dtype.itemsize
    return ((values << 1) ^ (values >> bits - 1)).view(f"u{values.dtype.itemsize}")


def sizes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes of each varint."""
    found = np.ones(len(values), np.uint8)
    highest = int(values.max(initial=0))
    for bits in range(7, max(highest.bit_length(), 1), 7):
        found += values >= values.dtype.type(1 << bits)
    return found


def varints(numbers: Ragged) -> Ragged:
    """The bytes of rows of unsigned numbers."""
    flat, lengths = numbers
    highest = int(flat.max(initial=0))
    if highest < 1 << 7:
        return Ragged(flat.astype(np.uint8), lengths)
    if highest < 1 << 56:
        coded, each = _spread(flat, 2 if highest < 1 << 14 else 4 if highest < 1 << 28 else 8)
    else:
        each = sizes(flat)
        coded = _one_by_one(flat, each.astype(np.int64))
    return Ragged(coded, sums(each, lengths))


def _spread(values: NDArray[Any], width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The bytes of all, and how many each has: seven bits at a time in the bytes of a wider number, which are kept."""
    rest: NDArray[Any] = values.astype(f"<u{width}")
    spread, there = rest & 127, np.ones((len(values), width), bool)
    each = np.ones(len(values), np.uint8)
    for at in range(1, width):
        rest >>= 7
        more = rest > 0
        there[:, at] = more
        each += more
        spread |= (rest & 127) << 8 * at | more.astype(rest.dtype) << 8 * at - 1
    return spread.view(np.uint8).compress(there.ravel()), each


def _one_by_one(values: Numbers, lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The same for numbers of any size, byte after byte of all that have one more."""
    at = np.cumsum(lengths) - lengths
    out = np.empty(int(lengths.sum()), np.uint8)
    while len(values):
        more = lengths > 1
        out[at] = (values & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        values, at, lengths = values[more] >> np.uint64(7), at[more] + 1, lengths[more] - 1
    return out
