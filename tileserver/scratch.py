"""Scratch folders, in which functions leave what they like: how much there is, and its removal.

Neither recurses: a function that makes a folder in a folder a thousand times must not end who looks at it.
As a program this file removes folders when the machine has nothing else to do; see `remove_idly`.
"""

import errno
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Final

_STEP: Final = 2**24
"""Bytes of a file that are freed at once, a millisecond's work. Until a system call returns, a kernel that is not
preemptible lets nobody else have that processor."""


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


def remove_idly(*folders: str) -> None:
    """Remove folders in a process of its own, which runs when no other would; blocks.

    Not in a thread of this process, which could be made to wait while it holds what the other threads need.
    """
    libraries = os.environ.get("LD_LIBRARY_PATH")
    with suppress(OSError):  # what cannot be started now is left to whoever removes the folder above
        subprocess.run(  # noqa: S603 - this file, and paths of our own
            [sys.executable, "-I", "-S", __file__, *folders],
            # functions can read the environment of an ordinary process
            env={"LD_LIBRARY_PATH": libraries} if libraries else {},
            stdin=subprocess.DEVNULL,
            check=False,
        )


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
                    _shorten(entry)
                    os.unlink(entry.path)  # noqa: PTH108
    return inner


def _shorten(entry: "os.DirEntry[str]") -> None:
    """Free what a large file holds, step by step, unless it has another name, elsewhere perhaps."""
    if entry.stat(follow_symlinks=False).st_size <= _STEP or not entry.is_file(follow_symlinks=False):
        return
    with suppress(OSError), open(entry.path, "r+b", opener=_own) as file:
        status = os.fstat(file.fileno())
        if status.st_nlink == 1 and status.st_blocks * 512 > _STEP:
            for size in range(status.st_size, 0, -_STEP):
                file.truncate(size)


def _own(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


if __name__ == "__main__":
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for each in sys.argv[1:]:
        remove(each)
