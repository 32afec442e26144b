"""Scratch folders, in which functions leave what they like: how much there is, and its removal.

Neither recurses: a function that makes a folder in a folder a thousand times must not end who looks at it.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
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
    """Bytes that each file below a folder has on disk; holes take none."""
    folders = [folder]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, as far as the system allows; blocks.

    What lies deeper is moved up first, so that no path becomes longer than one may be.
    """
    with suppress(OSError):
        os.chmod(folder, 0o700)  # noqa: PTH101 - else it can be neither read nor moved
        attic = tempfile.mkdtemp(dir=folder)
        folders, names = [folder], count()
        while folders:
            current = folders.pop()
            folders += _raised(_emptied(current), attic, names)
            _rmdir(current)
        _rmdir(attic)
    _rmdir(folder)


def _raised(folders: Iterable[str], attic: str, names: Iterator[int]) -> Iterator[str]:
    """Where these folders lie once they have been moved."""
    for folder in folders:
        with suppress(OSError):  # the attic cannot be moved into itself
            os.chmod(folder, 0o700)  # noqa: PTH101
            moved = f"{attic}/{next(names)}"
            os.rename(folder, moved)  # noqa: PTH104
            yield moved


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
