"""Which files go when there is no room: of two drawn at random the one that was read longer ago, which needs no index.

Mitzenmacher 2001, "The power of two choices in randomized load balancing". A million files are listed in some 100 MB.
"""

import os
import random
from array import array
from collections.abc import Iterator
from typing import Final

_CLUSTER: Final = 4096
"""Bytes that files take a multiple of, on most file systems."""


class Listing:
    """Files below a folder, as they were when it was looked through."""

    def __init__(self, root: str) -> None:
        self._folders: list[str] = []
        self._names: list[str] = []
        self._places, self._weights, self._reads = array("I"), array("Q"), array("d")
        """Of each file: its folder, bytes on disk, and when it was read last."""
        self.used = 0
        """Bytes on disk, of all."""
        self._add(root)

    def _add(self, root: str) -> None:
        ahead = [root]
        while ahead:
            folder = ahead.pop()
            self._folders.append(folder)
            try:
                with os.scandir(folder) as entries:
                    ahead += [entry.path for entry in entries if not self._is_taken(entry)]
            except OSError:  # it has gone meanwhile, or cannot be read
                continue

    def _is_taken(self, entry: "os.DirEntry[str]") -> bool:
        """Whether it is a file, which is then in the list, or has gone; else a folder."""
        try:
            if entry.is_dir(follow_symlinks=False):
                return False
            found = entry.stat(follow_symlinks=False)
        except OSError:
            return True
        weight = max(found.st_size, found.st_blocks * 512)
        self._names.append(entry.name)
        self._places.append(len(self._folders) - 1)
        self._weights.append(weight)
        self._reads.append(max(found.st_atime, found.st_mtime))
        self.used += weight
        return True

    def __len__(self) -> int:
        """How many files."""
        return len(self._names)

    def losers(self) -> Iterator[tuple[str, int]]:
        """Path and bytes on disk of each, in the order in which they go."""
        left = list(range(len(self)))
        random.shuffle(left)
        while left:
            rival = random.randrange(len(left))  # noqa: S311 - no secret
            if self._reads[left[-1]] > self._reads[left[rival]]:
                left[-1], left[rival] = left[rival], left[-1]
            at = left.pop()
            yield f"{self._folders[self._places[at]]}/{self._names[at]}", self._weights[at]


def weight(length: int) -> int:
    """Bytes that a file of a length takes on disk, nearly."""
    return -(-length // _CLUSTER) * _CLUSTER
