"""What a process asks of Linux for itself, prctl(2). Elsewhere the calls do nothing."""

import ctypes
import signal
import struct
import sys
from typing import Final

_PDEATHSIG: Final = 1
_DUMPABLE: Final = 4
_SUBREAPER: Final = 36
_NO_NEW_PRIVS: Final = 38
_DROP_BOUND: Final = 24
_CAPABILITIES: Final = 64
"""As many as the kernel has room for; it knows fewer."""
_CAPABILITY_VERSION: Final = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3, capset(2): two words of each set."""


def die_with_parent() -> None:
    """Be killed at once when the parent ends, however it ends."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what one's children leave behind."""
    _prctl(_SUBREAPER, 1)


def gain_no_privileges() -> None:
    """Let no program that is started from here have more rights."""
    _prctl(_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """Keep other processes of the same user from memory and environment (proc(5): mem, environ); dump no core."""
    _prctl(_DUMPABLE, 0)


def drop_capabilities() -> None:
    """Be no more than any other user where one is root: no look into others' processes, no way round file modes."""
    for capability in range(_CAPABILITIES):
        _prctl(_DROP_BOUND, capability)
    if sys.platform == "linux":
        header, nothing = struct.pack("<Ii", _CAPABILITY_VERSION, 0), bytes(24)
        ctypes.CDLL(None).capset(header, nothing)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
