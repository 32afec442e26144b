"""Results on disk: one file each, written at once or not at all, read by many processes."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tileserver.functioncache import forms
from tileserver.functioncache.room import Room
from tileserver.functioncache.turns import Turns


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


class Store(Turns):
    """A folder that all workers of one account share, and nobody else may write."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Args: limit: bytes that it may hold."""
        self.folder, self._room = folder, Room(folder, limit)

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

    def write(self, key: str, value: Any) -> str:
        """Keep a result. Empty, or why it is not kept."""
        try:
            form, body = forms.write(value)
        except Exception as error:  # whatever its class raises
            return f"cannot be pickled ({type(error).__name__})"
        if len(body) > self._room.most:
            return f"takes {len(body)} bytes, more than {self._room.most}"
        head = msgspec.json.encode(Head(form, time.time(), hashlib.sha256(body).hexdigest())) + b"\n"
        try:
            self._put(self.folder / key, head, body)
        except OSError as error:
            return f"cannot be written ({error.strerror})"
        return ""

    def _put(self, place: Path, head: bytes, body: bytes) -> None:
        with self._room.made(len(head) + len(body), place), _drafted(place) as draft, draft.open("wb") as file:
            file.write(head)
            file.write(body)

    @contextlib.contextmanager
    def writing(self, place: Path) -> Iterator[Path]:
        """Where to write what shall appear at `place` once the block is over, and only if it is."""
        with _drafted(place) as draft:
            yield draft
            with self._room.made(draft.stat().st_size, place, draft):
                pass

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[Callable[[], bool]]:
        """As all processes of the account take it: the lock of a file."""
        place = self.folder / f"{key}.lock"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # a full disk is no reason not to compute
            yield lambda: True
            return
        try:
            yield lambda: _taken(descriptor)
        finally:  # gone at once, though a child of the function's holds it open
            if _taken(descriptor):
                place.unlink(missing_ok=True)
            os.close(descriptor)

    def tidy(self) -> None:
        """Remove the oldest files where there is too much; looks at most once in a while, whoever asks."""
        self._room.tidy()


@contextlib.contextmanager
def _drafted(place: Path) -> Iterator[Path]:
    """A file beside the place, which is there when the block is over, and only if it is."""
    draft = place.with_name(f"{place.name}.{secrets.token_hex(8)}.part")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield draft
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
