"""What server processes did with the cache, each in a file of numbers that the others on the directory read."""

import contextlib
import mmap
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tileserver import processes

FOLDER: Final = "cache.counts"
"""Below the data directory."""
SOURCES: Final = (
    *("memory", "disk", "redis", "memcached", "objects", "stale", "above", "block", "run", "shared", "outside"),
    "repeated",
)
"""Where answers came from."""
SIZES: Final = ("memory_bytes", "memory_entries")
"""What a process holds, as long as it lives."""
TOTALS: Final = ("memory_evictions", "disk_written", "disk_evictions", "store_failures")
_NAMES: Final = (*SOURCES, *SIZES, *TOTALS)
_PLACES: Final = {name: at for at, name in enumerate(_NAMES)}
_BYTES: Final = 8 * len(_NAMES)


class Counts:
    """Of this process. Where nothing can be written, nobody else sees them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = memoryview(bytearray(_BYTES)).cast("q")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._numbers = _mapped(folder / str(os.getpid()))

    def add(self, source: str, count: int = 1) -> None:
        """Count answers of a source."""
        place = _PLACES.get(source)
        if place is not None:
            self._numbers[place] += count

    def put(self, **numbers: int) -> None:
        """Say how large something is now, or how often it was."""
        for name, number in numbers.items():
            self._numbers[_PLACES[name]] = number

    def together(self) -> tuple[dict[str, int], int]:
        """The numbers of all processes since the first of those that live began, and how many processes live."""
        total, living = Counter[str](dict.fromkeys(_NAMES, 0)), 0
        for pid, numbers in self._files():
            alive = processes.is_alive(pid)
            living += alive
            total.update({name: number for name, number in numbers.items() if alive or name not in SIZES})
        return dict(total), living

    def _files(self) -> Iterator[tuple[int, dict[str, int]]]:
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                with contextlib.suppress(OSError, ValueError):
                    yield int(file.name), dict(zip(_NAMES, memoryview(file.read_bytes()).cast("q"), strict=True))


def forget(folder: Path) -> None:
    """Remove the numbers of processes that have ended, where none lives: a server begins to count anew."""
    with contextlib.suppress(OSError):
        files = [file for file in folder.iterdir() if file.name.isdecimal()]
        if not any(processes.is_alive(int(file.name)) for file in files):
            for file in files:
                file.unlink(missing_ok=True)


def _mapped(place: Path) -> memoryview:
    with place.open("wb+") as file:
        file.write(bytes(_BYTES))  # all of it is there: what a full disk could not take later would end the process
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), _BYTES)).cast("q")
