"""Rows of differing lengths, kept as one flat array beside the length of each: joined, reordered and interleaved."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def starts(lengths: Integers) -> Integers:
    """Where each row begins."""
    return np.cumsum(lengths) - lengths


def owners(lengths: Integers) -> Integers:
    """Of each item, the number of its row."""
    return np.repeat(np.arange(len(lengths)), lengths)


def places(begins: Integers, lengths: Integers) -> Integers:
    """Of each item of rows of these lengths, its place if the rows begin there."""
    return np.repeat(begins - starts(lengths), lengths) + np.arange(int(lengths.sum()))


def sums(values: NDArray[Any], lengths: Integers) -> Integers:
    """Of each row."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    ends = np.cumsum(lengths)
    return np.asarray(total[ends] - total[ends - lengths], np.int64)


def chosen(flat: NDArray[Any], lengths: Integers, rows: Integers) -> NDArray[Any]:
    """The items of these rows, in their order."""
    return flat[places(starts(lengths)[rows], lengths[rows])]


def interleaved(pieces: Sequence[tuple[NDArray[Any], Integers]]) -> tuple[NDArray[Any], Integers]:
    """One ragged array, whose every row is that row of the first piece, then that of the second, and so on."""
    lengths = np.sum([own for _, own in pieces], axis=0)
    at = starts(lengths)
    flat = np.empty(int(lengths.sum()), pieces[0][0].dtype)
    for items, own in pieces:
        flat[places(at, own)] = items
        at = at + own
    return flat, lengths
