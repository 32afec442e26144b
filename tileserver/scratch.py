"""Scratch folders, in which functions leave what they like: how much there is, and its removal.

Neither recurses: a function that makes a folder in a folder a thousand times must not end who looks at it.
"""

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count


def is_full(folder: str, limit: int, files: int) -> bool:
    """Whether a folder holds more than so many bytes on disk, or so many files."""
    held = 0
    for number, size in enumerate(_sizes(folder), 1):
        held += size
        if held > limit or number > files:
            return True
    return False


def _sizes(folder: str) -> Iterator[int]:
    """Bytes that each file below a folder has on disk, holes none. A folder that cannot be read may hold anything."""
    folders = [folder]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENAMETOOLONG):
                yield sys.maxsize
            continue
        with entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    yield entry.stat(follow_symlinks=False).st_blocks * 512


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, as far as the system allows; blocks.

    What lies deeper is moved up first, so that no path becomes longer than one may be.
    """
    with suppress(OSError):
        os.chmod(folder, 0o700)  # noqa: PTH101 - else it can be neither read nor moved
    folders, names = [folder], (f"{folder}/{secrets.token_hex(8)}-{number}" for number in count())
    while folders:
        current = folders.pop()
        folders += map(_raised, _emptied(current), names)
        _rmdir(current)
    _rmdir(folder)


def _raised(folder: str, name: str) -> str:
    """Where a folder lies once it has been moved, which takes no room on a full disk."""
    try:
        os.chmod(folder, 0o700)  # noqa: PTH101
        os.rename(folder, name)  # noqa: PTH104
    except OSError:
        return folder
    return name


def _rmdir(folder: str) -> None:
    with suppress(OSError):
        os.rmdir(folder)  # noqa: PTH106


def _emptied(folder: str) -> list[str]:
    """The folders in a folder, from which everything else is removed."""
    inner = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108
    return inner
