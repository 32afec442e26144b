"""What runs on this machine because of a server, read from /proc."""

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for pid in every():
        with contextlib.suppress(OSError):
            parents.setdefault(_parent(pid), []).append(pid)
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def every() -> list[int]:
    """Every process."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """State, parent and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def living(pids: list[int]) -> list[int]:
    """Those that have not ended, not even as zombies."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if _stat(pid)[0] not in "ZX":
                found.append(pid)
    return found


def zombies(root: int) -> int:
    """Processes below `root` that have ended and that nobody has asked about."""
    return len(tree(root)) - len(living(tree(root)))


def named(name: str) -> list[int]:
    """Living processes that gave themselves this name; see `mark` of the UDFs that start some."""
    found = []
    for pid in every():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
    return living(found)


def inside(folder: Path) -> list[int]:
    """Processes whose working directory is in `folder`."""
    found = []
    for pid in every():
        with contextlib.suppress(OSError):
            if str(Path(f"/proc/{pid}/cwd").readlink()).startswith(str(folder)):
                found.append(pid)
    return found


def memory(pid: int) -> int:
    """Resident bytes."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def descriptors(pid: int) -> int:
    """Open files of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def eventually(check: Callable[[], object], seconds: float) -> float:
    """Seconds until `check` holds, looked at again and again.

    Raises:
        AssertionError: it does not hold after `seconds`.
    """
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - began
