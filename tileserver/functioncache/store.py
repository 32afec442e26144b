"""Results on disk: one file each, written at once or not at all, read by many processes."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tileserver.functioncache import forms

_TIDY_SECONDS: Final = 10
_KEEP: Final = 0.8
"""Part of the limit that is left when there was too much."""
_FILES: Final = 20_000
_PAUSE: Final = 0.02
"""Seconds between looks at what another process computes."""


class Head(msgspec.Struct, frozen=True):
    """What stands before a result in its file."""

    form: str
    created: float
    """Seconds since 1970."""
    digest: str
    """SHA-256 of the result's bytes."""


class Found(NamedTuple):
    """A result that was there."""

    value: Any


class Store:
    """A folder that all workers of one account share, and nobody else may write."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Args: limit: bytes that it may hold."""
        self.folder, self._limit = folder, limit
        self._written = 0

    def read(self, key: str, max_age: float) -> Found | None:
        """The result under a key, not older than so many seconds; what is broken is not there."""
        try:
            with (self.folder / key).open("rb") as file:
                head, body = file.readline(), file.read()
            told = msgspec.json.decode(head, type=Head)
            if time.time() - told.created > max_age or told.digest != hashlib.sha256(body).hexdigest():
                return None
            return Found(forms.read(told.form, body))
        except Exception:  # a pickle may raise anything, as one of a class that is no more
            return None

    def write(self, key: str, value: Any) -> None:
        """Keep a result; one that cannot be written, or for which there is no room, is not kept."""
        try:
            form, body = forms.write(value)
        except Exception:  # it cannot be pickled; whatever its class raises
            return
        if len(body) > self._limit * _KEEP:  # it would drive out all others
            return
        head = Head(form, time.time(), hashlib.sha256(body).hexdigest())
        with contextlib.suppress(OSError):
            with self.writing(self.folder / key) as place, place.open("wb") as file:
                file.write(msgspec.json.encode(head) + b"\n")
                file.write(body)
            self._count(len(body))

    def _count(self, size: int) -> None:
        self._written += size
        if self._written > self._limit * (1 - _KEEP) / 2:
            self._written = 0
            self.tidy()

    @contextlib.contextmanager
    def writing(self, place: Path) -> Iterator[Path]:
        """Where to write what shall appear at `place` once the block is over, and only if it is."""
        draft = place.with_name(f"{place.name}.{secrets.token_hex(8)}.part")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            yield draft
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, key: str, seconds: float) -> Iterator[None]:
        """The block runs in one process at a time for a key; after so many seconds of waiting all the same."""
        place, until = self.folder / f"{key}.lock", time.monotonic() + seconds
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # a full disk is no reason not to compute
            yield
            return
        try:
            while not _taken(descriptor) and time.monotonic() < until:
                time.sleep(_PAUSE)
            yield
        finally:  # gone at once, though a child of the function's holds it open
            place.unlink(missing_ok=True)
            os.close(descriptor)

    def tidy(self) -> None:
        """Remove the oldest files where there is too much; not more often than once in a while, whoever asks."""
        mark = self.folder / ".tidied"
        with contextlib.suppress(OSError):
            if time.time() - mark.stat().st_mtime < _TIDY_SECONDS:
                return
        with contextlib.suppress(OSError):
            mark.touch()
            self._make_room()

    def _make_room(self) -> None:
        files = sorted(_files(self.folder))
        held = sum(size for _, size, _ in files)
        if held <= self._limit and len(files) <= _FILES:
            return
        left = len(files)
        for _, size, path in files:
            if held <= self._limit * _KEEP and left <= _FILES * _KEEP:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - one of many
                held, left = held - size, left - 1


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Time of the last change, bytes on disk and path of each file below a folder."""
    folders = [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield status.st_mtime, status.st_blocks * 512, entry.path
