"""Marks of what a process is at: locked files, which the system unlocks when the process ends, however it ends."""

import fcntl
import os
from pathlib import Path


def hold(place: Path) -> int:
    """A descriptor that keeps a new file locked until it is closed.

    Raises:
        FileExistsError: the file is there already.
    """
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def is_held(place: Path) -> bool:
    """Whether some process keeps the file locked."""
    try:
        with place.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
