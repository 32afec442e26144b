"""Room in a folder that many processes write to: they count together what it holds, and the oldest files go.

The count is in a small file, which a writer keeps locked until its own file is there. So the folder holds no more than
it may, whoever writes; to look through it is needed when the count says that it is full, and once in a while, since
functions write there by themselves too.
"""

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_KEEP: Final = 0.8
"""Part of the limit that is left when there was too much."""
_LOOK_SECONDS: Final = 10
_FILES: Final = 20_000
_BLOCK: Final = 4096
_COUNT: Final = struct.Struct("<dd")
"""Bytes, and when they were looked through last, in seconds since 1970."""


class Room:
    """A folder, and the bytes that it may hold; a file counts for a 20,000th of them at least."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._place = folder / ".room"

    @property
    def most(self) -> int:
        """Bytes that one result may have: a larger one would drive out all others."""
        return int(self._limit * _KEEP)

    @contextlib.contextmanager
    def made(self, size: int, place: Path, draft: Path | None = None) -> Iterator[None]:
        """While nobody else writes: there is room for a file of so many bytes at `place`, of which there is a draft.

        Raises:
            OSError: the count cannot be kept.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._place) as count:
            self._make(count, self._counted(size) - self._there(place), str(draft))
            yield

    def tidy(self) -> None:
        """Look through it, if nobody has for a while; nothing if there is no folder."""
        with contextlib.suppress(OSError), _locked(self._place) as count:
            self._make(count, 0, "")

    def _make(self, count: int, added: int, draft: str) -> None:
        held, looked = _read(count)
        if held + added > self._limit or not 0 <= time.time() - looked < _LOOK_SECONDS:
            held, looked = self._thinned(added, draft), time.time()
        os.pwrite(count, _COUNT.pack(held + added, looked), 0)

    def _thinned(self, added: int, draft: str) -> int:
        """Bytes that are left, apart from a draft, where the oldest have gone if there were too many."""
        files = [each for each in sorted(self._files()) if each[2] != draft]
        held = sum(size for _, size, _ in files)
        if held + added <= self._limit:
            return held
        for _, size, path in files:
            if held + added <= self.most:
                break
            if path != str(self._place):
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - one of many
                    held -= size
        return held

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Time of the last change, bytes that count and path of each file."""
        folders = [str(self._folder)]
        while folders:
            with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        else:
                            yield status.st_mtime, self._counted(status.st_blocks * 512), entry.path

    def _there(self, place: Path) -> int:
        """Bytes that count of what is replaced."""
        try:
            return self._counted(place.stat().st_blocks * 512)
        except OSError:
            return 0

    def _counted(self, size: int) -> int:
        return max(-(-size // _BLOCK) * _BLOCK, self._limit // _FILES)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[int]:
    """A file's descriptor, while nobody else has it."""
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:  # at once, though a child of the function's holds it open
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _read(count: int) -> tuple[float, float]:
    """What was counted; nothing, and that never, where nobody has yet."""
    told = os.pread(count, _COUNT.size, 0)
    return _COUNT.unpack(told) if len(told) == _COUNT.size else (0.0, 0.0)
