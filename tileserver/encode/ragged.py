"""Rows of differing lengths, kept as one flat array beside the length of each: joined, reordered and interleaved."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Ragged(NamedTuple):
    """Rows, one behind the other."""

    flat: NDArray[Any]
    lengths: Integers
    """Items of each row."""


def even(rows: NDArray[Any]) -> Ragged:
    """Rows of one length, (rows, items)."""
    return Ragged(rows.ravel(), np.full(len(rows), rows.shape[1]))


def starts(lengths: Integers) -> Integers:
    """Where each row begins."""
    return lengths.cumsum() - lengths


def owners(lengths: Integers) -> Integers:
    """Of each item, the number of its row."""
    return np.arange(len(lengths)).repeat(lengths)


def places(begins: Integers, lengths: Integers) -> Integers:
    """Of each item of rows of these lengths, its place if the rows begin there."""
    found = (begins - starts(lengths)).repeat(lengths)
    found += np.arange(len(found))
    return found


def sums(values: NDArray[Any], lengths: Integers) -> Integers:
    """Of each row."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    ends = lengths.cumsum()
    return np.asarray(total[ends] - total[ends - lengths])


def chosen(flat: NDArray[Any], lengths: Integers, rows: Integers) -> NDArray[Any]:
    """The items of these rows, in their order."""
    return flat.take(places(starts(lengths)[rows], lengths[rows]), axis=0)  # ten times faster than to index, of points


def joint_lengths(pieces: Sequence[Ragged]) -> Integers:
    """Items of each row of all pieces together; one by one: faster than a sum over an array of them."""
    return reduce(np.add, [each.lengths for each in pieces])


def interleaved(pieces: Sequence[Ragged]) -> Ragged:
    """Rows of which each is that row of the first piece, then that of the second, and so on.

    The places of the longest piece are what the others leave, which is several times faster than to compute them.
    """
    lengths = joint_lengths(pieces)
    longest = max(range(len(pieces)), key=lambda at: len(pieces[at].flat))
    total = sum(len(each.flat) for each in pieces)
    flat, left = np.empty(total, pieces[0].flat.dtype), np.ones(total, bool)
    begins = starts(lengths)
    for at, (items, own) in enumerate(pieces):
        if at != longest:
            taken = places(begins, own)
            flat[taken], left[taken] = items, False
        begins = begins + own
    flat[left] = pieces[longest].flat
    return Ragged(flat, lengths)
