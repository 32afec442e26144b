"""What this process may use of the machine, also where its control groups give it less (cgroups(7), version 2)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def cores(groups: Path = _GROUPS, own: Path = _OWN) -> float:
    """Cores: those that it may run on, or the share of processor time that it may take, where that is less."""
    there = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quotas = (words for words in _limits("cpu.max", groups, own) if words[0] != "max")
    return min([there, *(int(quota) / int(period) for quota, period in quotas)])


def memory(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """Bytes of memory: the machine's, or what its groups may take, where that is less."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([there, *(int(words[0]) for words in _limits("memory.max", groups, own) if words[0] != "max")])


def _limits(name: str, groups: Path, own: Path) -> Iterator[list[str]]:
    """The words of a limit of each group that this process belongs to, the innermost first."""
    with suppress(OSError):
        lines = own.read_text().splitlines()
        inner = next((line[3:] for line in lines if line.startswith("0::")), None)
        if inner is None:
            return
        path = groups / inner.strip("/")
        for folder in (path, *path.parents):
            if folder.is_relative_to(groups):
                with suppress(OSError):
                    yield (folder / name).read_text().split()
