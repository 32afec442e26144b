"""The disk tier: a file per entry, written aside and renamed. Trouble with the disk is a miss, never a failed tile."""

import contextlib
import fcntl
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tileserver import handed
from tileserver.jobs import Stored
from tileserver.tilecache.entry import Entry, look, pieces, read
from tileserver.tilecache.keys import Key, path
from tileserver.tilecache.room import Listing, weight

_TOUCH_SECONDS: Final = 60


class DiskTier:
    """Entries below a folder, shared by processes. Methods block, all but `has`: call them in a thread."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit
        self._written = 0
        """Bytes since room was made."""
        self.written = self.evicted = 0
        """Bytes that this process has written, and entries that it has removed for others."""
        self._clearing = threading.Lock()
        """Held while a thread makes room: no tile waits for it."""

    def has(self, key: Key) -> bool:
        """Whether there may be an entry; to ask the system's memory of names takes a twentieth of a thread's turn."""
        return os.path.exists(f"{self.root}/{path(key)}")  # noqa: PTH110 - a Path costs as much as the question

    def get(self, key: Key) -> Entry | None:
        """The entry, or None; a file that does not check is removed."""
        place = self.root / path(key)
        return self._checked(place, lambda: read(place.read_bytes()))

    def look(self, key: Key) -> Entry | None:
        """The same, its body left in the file."""
        return self.look_at(self.root / path(key))

    def look_at(self, place: Path) -> Entry | None:
        """The same of a file."""
        return self._checked(place, lambda: look(place))

    def write_aside(self, entry: Entry) -> Path | None:
        """A file of its own for an entry, which no key finds; None where none can be written."""
        folder = self.root / "aside"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = folder / secrets.token_hex(16)
            self._write(place, pieces(entry))
            return place if place.exists() else None
        return None

    def remove(self, file: Stored) -> None:
        """Forget what was looked at, if it is still there."""
        if self.is_there(file):
            self._remove(Path(file.path))

    def _checked(self, place: Path, read: Callable[[], Entry | None]) -> Entry | None:
        try:
            entry = read()
        except OSError:
            return None
        if entry is None:
            self._remove(place)
        return entry

    @staticmethod
    def is_there(file: Stored) -> bool:
        """Whether a file is the one that was looked at; which is then the last that was read, for who makes room."""
        try:
            found = os.stat(file.path)  # noqa: PTH116 - as in `has`
        except OSError:
            return False
        if handed.stamp(found) != file.stamp:
            return False
        if time.time() - max(found.st_atime, found.st_mtime) > _TOUCH_SECONDS:  # a mapped file is read unseen
            with contextlib.suppress(OSError):
                os.utime(file.path, ns=(time.time_ns(), found.st_mtime_ns))
        return True

    def put(self, key: Key, entry: Entry) -> None:
        """Store an entry; once in a while make room."""
        if self.limit <= 0:
            return
        place = self.root / path(key)
        stored = pieces(entry)
        size = sum(map(len, stored))
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(place, stored)
        self._written += weight(size)
        self.written += size
        if self._written > self.limit // 20 and self._clearing.acquire(blocking=False):
            self._written = 0
            self._begin_to_clear()

    def _begin_to_clear(self) -> None:
        try:
            threading.Thread(target=self._clear, name="make room", daemon=True).start()
        except RuntimeError:  # too many threads; the tile is stored, and there is another time
            self._clearing.release()

    def _clear(self) -> None:
        try:
            self.make_room()
        finally:
            self._clearing.release()

    def _write(self, place: Path, stored: Iterable[bytes]) -> None:
        descriptor, aside = tempfile.mkstemp(dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(stored)
            Path(aside).replace(place)
        except OSError:
            self._remove(Path(aside))

    def make_room(self) -> int:
        """Bytes that are left in use, after entries were removed down to 80 % of the limit if it was nearly reached.

        One process at a time: two that count the same files would remove twice as many.
        """
        with self._alone():
            listing = Listing(str(self.root))
            used = listing.used
            if used <= self.limit * 0.9:
                return used
            for place, size in listing.losers():
                if used <= self.limit * 0.8:
                    break
                self._remove(Path(place))
                self.evicted += 1
                used -= size
            return used

    def usage(self) -> tuple[int, int]:
        """Bytes and entries, as they are now; a look at every file, some 3 µs for each."""
        listing = Listing(str(self.root))
        return listing.used, len(listing)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While other processes wait; on a file system without locks they do not."""
        try:
            descriptor = os.open(self.root, os.O_RDONLY)
        except OSError:
            yield
            return
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @staticmethod
    def _remove(place: Path) -> None:
        with contextlib.suppress(OSError):
            place.unlink()
