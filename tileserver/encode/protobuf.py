"""The part of Protocol Buffers' wire format that vector tiles need: varints and length-prefixed fields.

For many at once: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def zigzag(values: NDArray[np.int64]) -> Numbers:
    """Signed numbers, so that those near zero are short."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def sizes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Bytes of each varint."""
    found = np.ones(len(values), np.int64)
    for bits in range(7, 64, 7):
        longer = values >= np.uint64(1 << bits)
        if not longer.any():
            break
        found += longer
    return found


def varints(values: Numbers) -> NDArray[np.uint8]:
    """The bytes of all of them, one behind the other.

    Seven bits at a time are spread over the bytes of a wider number, of which those that count are kept.
    """
    highest = int(values.max(initial=0))
    if highest >= 1 << 56:
        return _long_varints(values)
    width = 4 if highest < 1 << 28 else 8
    word = f"<u{width}"
    rest: NDArray[Any] = values.astype(word)
    spread, there = rest & 127, np.ones((len(values), width), bool)
    for at in range(1, width):
        rest >>= 7
        there[:, at] = rest > 0
        spread |= (rest & 127) << 8 * at | there[:, at].astype(word) << 8 * at - 1
    kept: NDArray[np.uint8] = spread.view(np.uint8).compress(there.ravel())
    return kept


def _long_varints(values: Numbers) -> NDArray[np.uint8]:
    """The same for numbers of any size, byte after byte of all that have one more."""
    lengths = sizes(values)
    at = np.cumsum(lengths) - lengths
    out = np.empty(int(lengths.sum()), np.uint8)
    while len(values):
        more = lengths > 1
        out[at] = (values & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        values, at, lengths = values[more] >> np.uint64(7), at[more] + 1, lengths[more] - 1
    return out
