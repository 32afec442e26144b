"""What a worker gives up for good under strict isolation: other files (Landlock) and the calls that lead out (seccomp).

Standard library only: the nursery applies it between the fork and a function's first line, and
`python -m tileserver.worker.sandbox` tells the server what this machine offers.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tileserver.worker import system

_READ: Final = ("/proc", "/dev/random", "/dev/urandom", "/dev/zero")
_WRITE: Final = ("/dev/null", "/dev/shm")  # noqa: S108  locks and queues of `multiprocessing` live there


def confine(read: Sequence[str], *write: str) -> None:
    """Bind this process and its children for good, as the last thing before a function's code.

    Args:
        read: folders and files that may be read and executed.
        write: the only folders that may be written.

    Raises:
        OSError: a layer is missing here.
    """
    landlock([*read, *_READ], [*write, *_WRITE])
    seccomp()


# Landlock: landlock(7), and Documentation/userspace-api/landlock.rst in the kernel.

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READING: Final = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights that a rule for anything but a folder may name."""
_RIGHTS: Final = ((5, (1 << 16) - 1), (3, (1 << 15) - 1), (2, (1 << 14) - 1), (1, (1 << 13) - 1))
"""ABI, and every right on files that it knows: 2 adds moving between folders, 3 truncating, 5 ioctl on devices."""
_SCOPES: Final = 0b11
"""ABI 6: no connection to abstract Unix sockets, and no signal, outside."""


def landlock(read: Sequence[str], write: Sequence[str]) -> None:
    """Restrict this thread and whatever it starts for good: nothing but these paths, and no signal to others.

    Other threads that there are already stay free, so call it right after the fork.
    TCP stays allowed, because functions read from S3. UDP and Unix sockets in folders are out of its reach.

    Args:
        read: what may be read and executed, with everything below; missing paths are skipped.
        write: where everything is allowed; missing paths are skipped.

    Raises:
        OSError: the kernel has no Landlock.
    """
    abi = landlock_abi()
    rights = next((rights for since, rights in _RIGHTS if abi >= since), 0)
    # A kernel takes fields that it does not know as long as they are 0: here TCP, and scopes before ABI 6.
    attributes = struct.pack("=QQQ", rights, 0, _SCOPES if abi >= 6 else 0)
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, allowed in ((read, rights & _READING), (write, rights)):
            for path in paths:
                _allow(ruleset, path, allowed)
        _give_up_new_privileges()
        _syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def landlock_abi() -> int:
    """The version of Landlock that the kernel speaks; 0 where it has none."""
    try:
        return _syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


# seccomp: seccomp(2). Call numbers: <asm/unistd_64.h> (x86_64), <asm-generic/unistd.h> (aarch64).

_X86_64: Final = {
    "acct": 163, "add_key": 248, "bpf": 321, "chroot": 161, "clock_adjtime": 305, "clock_settime": 227,
    "delete_module": 176, "fanotify_init": 300, "finit_module": 313, "init_module": 175, "ioperm": 173, "iopl": 172,
    "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "lookup_dcookie": 212,
    "migrate_pages": 256, "modify_ldt": 154, "mount": 165, "move_pages": 279, "name_to_handle_at": 303,
    "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298, "personality": 135, "pivot_root": 155,
    "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "quotactl": 179, "reboot": 169,
    "request_key": 249, "setdomainname": 171, "sethostname": 170, "setns": 308, "settimeofday": 164, "swapoff": 168,
    "swapon": 167, "syslog": 103, "umount2": 166, "unshare": 272, "uselib": 134, "userfaultfd": 323, "vhangup": 153,
}  # fmt: skip
_AARCH64: Final = {
    "acct": 89, "add_key": 217, "bpf": 280, "chroot": 51, "clock_adjtime": 266, "clock_settime": 112,
    "delete_module": 106, "fanotify_init": 262, "finit_module": 273, "init_module": 105, "kcmp": 272,
    "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219, "lookup_dcookie": 18, "migrate_pages": 238,
    "mount": 40, "move_pages": 239, "name_to_handle_at": 264, "nfsservctl": 42, "open_by_handle_at": 265,
    "perf_event_open": 241, "personality": 92, "pivot_root": 41, "process_vm_readv": 270, "process_vm_writev": 271,
    "ptrace": 117, "quotactl": 60, "reboot": 142, "request_key": 218, "setdomainname": 162, "sethostname": 161,
    "setns": 268, "settimeofday": 170, "swapoff": 225, "swapon": 224, "syslog": 116, "umount2": 39, "unshare": 97,
    "userfaultfd": 282, "vhangup": 58,
}  # fmt: skip
_BOTH: Final = {  # calls from 424 on have one number everywhere
    "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "mount_setattr": 442, "move_mount": 429, "open_tree": 428, "open_tree_attr": 467,
    "pidfd_getfd": 438, "process_madvise": 440, "process_mrelease": 448, "quotactl_fd": 443,
}  # fmt: skip
_CLONE3: Final = 435

# Of each machine: AUDIT_ARCH_... of <linux/audit.h>, the numbers of seccomp and clone, and what is refused.
_MACHINES: Final = {
    "x86_64": (0xC000003E, 317, 56, _X86_64 | _BOTH),
    "aarch64": (0xC00000B7, 277, 220, _AARCH64 | _BOTH),
}
_X32: Final = 0x40000000
"""Calls from here on are those of x32, which would be a second door to each of the others."""
_CLONE_NEW: Final = 0x7E020000
"""CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET of clone(2)."""

# Classic BPF, <linux/bpf_common.h>; what it loads from is struct seccomp_data: number, architecture, ip, arguments.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_SET_MODE_FILTER, _GET_ACTION_AVAIL, _ALL_THREADS = 1, 2, 1


def seccomp() -> None:
    """Refuse for good, in this process and its children, the system calls that lead out of a sandbox.

    They fail with EPERM. Code for another architecture, whose numbers differ, is killed.

    Raises:
        OSError: the kernel has no filters, or the machine is neither x86_64 nor aarch64.
    """
    _, _, clone, refused = _machine()
    _filter([
        _refuse(_AT_LEAST, _X32, errno.EPERM),  # aarch64 has no calls up there
        *(_refuse(_EQUAL, number, errno.EPERM) for number in refused.values()),
        # Told that there is no clone3, libc falls back to clone, whose flags a filter can see.
        _refuse(_EQUAL, _CLONE3, errno.ENOSYS),
        _instruction(_EQUAL, clone, no=3),
        _instruction(_LOAD, _FIRST_ARGUMENT),  # its low half: both machines are little-endian
        _refuse(_ANY_BIT, _CLONE_NEW, errno.EPERM),
    ])  # fmt: skip


def seccomp_available() -> bool:
    """Whether the kernel filters calls, and we know those of this machine."""
    try:
        _, call, *_ = _machine()
        _syscall(call, _GET_ACTION_AVAIL, 0, struct.pack("=I", _ERRNO))
    except OSError:
        return False
    return True


def _machine() -> tuple[int, int, int, dict[str, int]]:
    name = os.uname().machine
    try:
        return _MACHINES[name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"no table of system calls for {name}") from None


def _filter(rules: Sequence[bytes]) -> None:
    """Pass every call to come, its number loaded, through these rules. What they let through is allowed."""
    architecture, call, *_ = _machine()
    program = ctypes.create_string_buffer(b"".join([
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, yes=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        *rules,
        _instruction(_RETURN, _ALLOW),
    ]))  # fmt: skip
    # struct sock_fprog: how many instructions of 8 bytes, and where.
    pointer = struct.pack("HP", len(program) // 8, ctypes.addressof(program))
    _give_up_new_privileges()
    if _syscall(call, _SET_MODE_FILTER, _ALL_THREADS, pointer):
        raise OSError(errno.ESRCH, "a thread has a filter of its own")


def _instruction(code: int, operand: int, *, yes: int = 0, no: int = 0) -> bytes:
    """A struct sock_filter; `yes` and `no` say how many instructions to skip."""
    return struct.pack("=HBBI", code, yes, no, operand)


def _refuse(test: int, operand: int, error: int) -> bytes:
    """End with an error if what was loaded passes the test."""
    return _instruction(test, operand, no=1) + _instruction(_RETURN, _ERRNO | error)


# What binds this process: prctl(2).

_GET_PDEATHSIG, _GET_SECCOMP, _GET_SUBREAPER, _SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 2, 21, 37, 38, 39


def in_force() -> dict[str, bool]:
    """The layers that bind this process, by name, as the kernel tells."""
    return {
        "rlimits": resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
        and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
        "subreaper": _told(_GET_SUBREAPER) == 1,
        "parent_death_signal": _told(_GET_PDEATHSIG) == signal.SIGKILL,
        "no_new_privs": _prctl(_GET_NO_NEW_PRIVS) == 1,
        "landlock": not _readable("/"),
        "seccomp": _prctl(_GET_SECCOMP) == 2,
        "bubblewrap": _first_process() == "bwrap",
    }


def _readable(folder: str) -> bool:
    """Whether it can be opened. The root can everywhere, unless Landlock forbids it."""
    try:
        os.close(os.open(folder, os.O_RDONLY))
    except PermissionError:
        return False
    return True


def _first_process() -> str:
    """The name of process 1, which in a namespace of bubblewrap's is bubblewrap."""
    try:
        return Path("/proc/1/comm").read_text().strip()
    except OSError:
        return ""


def _told(option: int) -> int:
    """A value that prctl writes where it is told to."""
    value = ctypes.c_int()
    _prctl(option, ctypes.addressof(value))
    return value.value


def _give_up_new_privileges() -> None:
    """Without it, Landlock and seccomp want an administrator."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int = 0) -> int:
    return _checked(_libc.prctl(option, *(ctypes.c_ulong(each) for each in (value, 0, 0, 0))))


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(_libc.syscall(ctypes.c_long(number), *words))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def main(mode: str, *arguments: str) -> None:
    """Print as JSON what this machine offers, or what is in force once a mode is applied.

    Args:
        mode: "offers", "default" or "strict".
        arguments: for "strict", the scratch folder and what may be read.
    """
    if mode == "offers":
        print(json.dumps({"landlock": landlock_abi() > 0, "seccomp": seccomp_available()}))
        return
    system.keep_in_hand()
    system.lock_down(1 << 30, 1 << 30, 1 << 10)
    if mode == "strict":
        scratch, *read = arguments
        confine(read, scratch)
    print(json.dumps(in_force()))


if __name__ == "__main__":
    main(*sys.argv[1:])
