"""What failed a moment ago and would again: told without a run, for seconds only, and never kept as a tile."""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec
from cachetools import TLRUCache

from tileserver.errors import TileserverError
from tileserver.refusals import Refused, refusal, refused
from tileserver.tilecache.keys import Key, number

SECONDS: Final = 5
LONG_SECONDS: Final = 30
_LONG: Final = frozenset({"udf_timed_out", "udf_crashed", "memory_exceeded", "cpu_exceeded"})
"""What took a worker's time, or its life."""
_MOST: Final = 10_000
_FILES: Final = 1024
"""Of failures that processes tell each other; of two that fall to one file, the later is told."""
_LARGEST: Final = 2**16
"""Bytes of one that is told, what the function printed included."""


class Failures:
    """By key, of this process and of others on the host; another generation of the registry may do better."""

    def __init__(self, place: Path | None = None) -> None:
        """Args: place: a folder that these share."""
        self._known: TLRUCache[Key, tuple[TileserverError, int]] = TLRUCache(_MOST, _until)
        self._place = place

    def get(self, key: Key, generation: int) -> TileserverError | None:
        """What a run that began in this generation came to."""
        failure, then = self._known.get(key, (None, generation))
        if failure is None and self._place is not None:
            return _told(self._place / _name(key), key, generation)
        return failure if then == generation else None

    def add(self, key: Key, failure: TileserverError, generation: int) -> None:
        """Remember what a run that began in a generation came to."""
        self._known[key] = failure, generation
        if self._place is not None:
            told = _Told(key, generation, time.time() + _seconds(failure), refusal(failure))
            with contextlib.suppress(OSError):  # the others find out for themselves
                _tell(self._place / _name(key), told)


def _until(_: Key, known: tuple[TileserverError, int], now: float) -> float:
    return now + _seconds(known[0])


def _seconds(failure: TileserverError) -> int:
    return LONG_SECONDS if failure.code in _LONG else SECONDS


class _Told(msgspec.Struct, array_like=True):
    """A failure in a file."""

    key: Key
    generation: int
    until: float
    failure: Refused


def _name(key: Key) -> str:
    """One of a few: so many files there are at most, and none has to be removed."""
    return f"{number(key, _FILES):03x}"


def _tell(place: Path, told: _Told) -> None:
    body = msgspec.msgpack.encode(told)
    if len(body) > _LARGEST:
        return
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = place.with_suffix(f".{os.getpid()}")
    aside.write_bytes(body)
    aside.replace(place)


def _told(place: Path, key: Key, generation: int) -> TileserverError | None:
    """What is told there of the key, of this generation and not long ago."""
    try:
        told = msgspec.msgpack.decode(place.read_bytes(), type=_Told)
    except (OSError, msgspec.DecodeError):
        return None
    left = told.until - time.time()
    if told.key != key or told.generation != generation or not 0 < left <= LONG_SECONDS:
        return None
    return refused(told.failure)
