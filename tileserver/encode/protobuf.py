"""The part of Protocol Buffers' wire format that vector tiles need: varints and length-prefixed fields."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def varints(values: NDArray[np.int64], starts: NDArray[Any]) -> list[bytes]:
    """The varints of `values` (not negative), cut into pieces that begin at the indices `starts`."""
    if not len(starts):
        return []
    lengths = np.ones(len(values), np.int64)
    for bits in range(7, 63, 7):
        longer = values >> bits > 0
        if not longer.any():
            break
        lengths += longer
    ends = np.cumsum(lengths)
    packed = _packed(values, ends - lengths, lengths).tobytes()
    cuts = [*(ends - lengths)[starts].tolist(), len(packed)]
    return [packed[begin:end] for begin, end in itertools.pairwise(cuts)]


def _packed(values: NDArray[np.int64], at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    out = np.empty(int(lengths.sum()), np.uint8)
    for byte in range(int(lengths.max(initial=0))):
        here = lengths > byte
        more = np.where(lengths[here] > byte + 1, 128, 0)
        out[at[here] + byte] = values[here] >> (7 * byte) & 127 | more
    return out
