"""Files of accounts: a folder for each, whose files have addresses as `fd://path`, and no way out of it."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError
from tileserver.settings import Settings

SCHEME: Final = "fd://"
INCOMING: Final = ".incoming"
"""Where uploads are written until they are whole; no account's id is like this."""
ENTRIES: Final = 100_000
"""Files and folders that an account may have."""
_DEEPEST: Final = 32
_NAME_BYTES: Final = 255
_PATH_BYTES: Final = 1024
"""Of all names together: with the data directory's own the system takes no more than 4096."""
_TEMPORARY: Final = "tmp"
_TEMPORARY_SECONDS: Final = 86400


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a folder, as a list has it."""

    url: str
    file_name: str
    is_directory: bool
    size: int | None
    """Bytes; None of a folder."""
    modified: float
    """Seconds since 1970."""


def names(address: str) -> tuple[str, ...]:
    """The names between the slashes of an address.

    Raises:
        InvalidParameterError: it is no address of a file here.
    """
    if not address.startswith(SCHEME):
        raise InvalidParameterError(f"A path here begins with {SCHEME}.", parameter="path")
    found = tuple(address[len(SCHEME) :].removesuffix("/").split("/")) if address != SCHEME else ()
    if len(found) > _DEEPEST or not all(map(_is_name, found)) or len("/".join(found).encode()) > _PATH_BYTES:
        raise InvalidParameterError("This path has names that no file here can have.", parameter="path")
    return found


def _is_name(text: str) -> bool:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= _NAME_BYTES and text not in (".", "..") and text.isprintable() and "/" not in text


class Folder:
    """An account's. What it raises is NotFoundError where nothing is, and as `names` says."""

    def __init__(self, base: Path, account_id: str, quota: int) -> None:
        """Args:
        base: the folder of all accounts.
        quota: bytes that an account may have.
        """
        self.root, self.incoming, self._quota = base / account_id, base / INCOMING / account_id, quota
        for each in (self.root, self.incoming):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    @classmethod
    def of(cls, settings: Settings, account_id: str) -> Self:
        """The account's on this server."""
        return cls(settings.data_dir / "files", account_id, settings.files_disk)

    def place(self, address: str) -> Path:
        """Where an address lies, whether or not something is there."""
        place = self.root
        for name in names(address):
            place = place / name
            if place.is_symlink():  # which only a function can have made
                raise NotFoundError("There is no such file.")
        return place

    def file(self, address: str) -> Path:
        """A file that is there."""
        place = self.place(address)
        if not place.is_file():
            raise NotFoundError("There is no such file.")
        return place

    def listed(self, address: str) -> list[Listed]:
        """What is in a folder, by name; of a file, itself."""
        place = self.place(address)
        if place.is_file():
            return list(self._entries([place]))
        try:
            return list(self._entries(sorted(place.iterdir())))
        except FileNotFoundError:
            raise NotFoundError("There is no such folder.") from None

    def files(self, address: str) -> Iterator[str]:
        """The address of every file below a folder."""
        for place, _, files in os.walk(self.place(address)):
            yield from (self._address(Path(place, each)) for each in sorted(files))

    def reserve(self, size: int) -> Path:
        """A new file that lies aside, whose bytes are the account's from now on, so that all that come have room.

        Raises:
            ConflictError: the account has no room for so many bytes.
        """
        self.check_room(size)
        descriptor, name = tempfile.mkstemp(dir=self.incoming)
        os.ftruncate(descriptor, size)  # which takes no disk yet
        os.close(descriptor)
        return Path(name)

    def keep(self, aside: Path, address: str) -> None:
        """Put a file that lies aside in its place.

        Raises:
            ConflictError: it cannot be there.
        """
        place = self._named(address)
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside.replace(place)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ConflictError("A folder has this name, or a file has a folder's.") from None

    def check_room(self, size: int) -> None:
        """Raises ConflictError where the account has no room for so many bytes more, in one file."""
        sizes = [*_sizes(self.root), *_sizes(self.incoming)]
        if sum(sizes) + size > self._quota or len(sizes) >= ENTRIES:
            raise ConflictError(f"Files of an account may take {self._quota} bytes and be {ENTRIES}; delete some.")

    def delete(self, address: str, depth: float) -> None:
        """Delete a file, or a folder with all that is in it.

        Args:
            depth: levels of folders that may be deleted; where there are more, nothing is.
        """
        place = self._named(address)
        if place.is_file():
            place.unlink()
        elif not place.is_dir():
            raise NotFoundError("There is no such file.")
        elif _depth(place) > depth:
            raise ConflictError(f"This folder is deeper than max_deletion_depth, {depth}; nothing was deleted.")
        else:
            shutil.rmtree(place)

    def temporary(self, name: str) -> str:
        """An address for a file that is kept for a day; older ones go now, and uploads that a killed server left."""
        for shelf in (self.root / _TEMPORARY, self.incoming):
            for each in shelf.glob("*"):
                _remove_old(each)
        return f"{SCHEME}{_TEMPORARY}/{name}"

    def _named(self, address: str) -> Path:
        """Where something lies that can be put or deleted; not all there is."""
        place = self.place(address)
        if place == self.root:
            raise InvalidParameterError("Name a file.", parameter="path")
        return place

    def _address(self, place: Path) -> str:
        return SCHEME + place.relative_to(self.root).as_posix()

    def _entries(self, places: list[Path]) -> Iterator[Listed]:
        """Of the files and folders that are there, which others may delete meanwhile."""
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                found = place.lstat()
                if not stat.S_ISLNK(found.st_mode):
                    yield self._entry(place, found)

    def _entry(self, place: Path, found: os.stat_result) -> Listed:
        folder = stat.S_ISDIR(found.st_mode)
        return Listed(
            url=self._address(place) + "/" * folder,
            file_name=place.name,
            is_directory=folder,
            size=None if folder else found.st_size,
            modified=found.st_mtime,
        )


def _remove_old(place: Path) -> None:
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if place.stat().st_mtime < time.time() - _TEMPORARY_SECONDS:
            place.unlink()


def _sizes(root: Path) -> Iterator[int]:
    """The bytes of each file below a folder, and 0 for each folder."""
    for place, inner, files in os.walk(root):
        yield from (0 for _ in inner)
        for each in files:
            with contextlib.suppress(FileNotFoundError):  # somebody deletes it just now
                yield os.lstat(Path(place, each)).st_size


def _depth(place: Path) -> int:
    """Levels of folders, the place itself counted."""
    own = len(place.parts)
    return max(len(Path(each).parts) - own for each, _, _ in os.walk(place)) + 1
