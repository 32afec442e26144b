"""The disk tier: a file per entry, written aside and renamed. Trouble with the disk is a miss, never a failed tile."""

import contextlib
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tileserver.tilecache.entry import Entry, read, write
from tileserver.tilecache.keys import Key, path


class DiskTier:
    """Entries below a folder, shared by processes. Methods block, all but `has`: call them in a thread."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit
        self._written = 0

    def has(self, key: Key) -> bool:
        """Whether there may be an entry; to ask the system's memory of names takes a twentieth of a thread's turn."""
        return os.path.exists(f"{self.root}/{path(key)}")  # noqa: PTH110 - a Path costs as much as the question

    def get(self, key: Key) -> Entry | None:
        """The entry, or None; a file that does not check is removed."""
        place = self.root / path(key)
        try:
            stored = place.read_bytes()
        except OSError:
            return None
        entry = read(stored)
        if entry is None:
            self._remove(place)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Store an entry; once in a while make room."""
        place = self.root / path(key)
        stored = write(entry)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(place, stored)
        self._written += len(stored)
        if self._written > self.limit // 20:
            self._written = 0
            self.make_room()

    def _write(self, place: Path, stored: bytes) -> None:
        descriptor, aside = tempfile.mkstemp(dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(stored)
            Path(aside).replace(place)
        except OSError:
            self._remove(Path(aside))

    def make_room(self) -> int:
        """Bytes that are left in use, after entries were removed down to 80 % of the limit if it was exceeded.

        Of two entries drawn at random the one that was read longer ago goes, which needs no index.
        """
        entries = list(self._files())
        used = sum(stat.st_size for _, stat in entries)
        if used <= self.limit * 0.9:
            return used
        random.shuffle(entries)
        while used > self.limit * 0.8 and entries:
            rivals = [entries.pop() for _ in range(min(2, len(entries)))]
            rivals.sort(key=lambda file: max(file[1].st_atime, file[1].st_mtime))
            self._remove(rivals[0][0])
            used -= rivals[0][1].st_size
            entries[:0] = rivals[1:]
        return used

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, names in os.walk(self.root):
            for name in names:
                with contextlib.suppress(OSError):
                    place = Path(folder, name)
                    yield place, place.stat()

    @staticmethod
    def _remove(place: Path) -> None:
        with contextlib.suppress(OSError):
            place.unlink()
