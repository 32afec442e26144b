"""The server's end of strict isolation: what starts a nursery in namespaces of its own, and what this machine offers.

It knows the worker's end by name only, `python -m tileserver.worker.sandbox`, as it does the nursery.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tileserver import processes
from tileserver.errors import SetupError

_SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/alternatives",  # where Debian's links to libraries lead
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",  # certificates of Fedora and Red Hat
    "/etc/resolv.conf",
    "/etc/ssl",
)
"""What programs need of the system; not /etc/passwd."""
_SHARED_MEMORY: Final = 64 << 20
"""Bytes that /tmp and /dev/shm may hold: they are memory that no limit of the worker counts."""

_PROBE_SECONDS: Final = 60

LAYERS: Final = (
    "rlimits",
    "subreaper",
    "parent_death_signal",
    "no_new_privs",
    "own_user",
    "landlock",
    "seccomp",
    "bubblewrap",
)

_NO_LANDLOCK: Final = "Landlock is missing: it needs Linux 5.13 or newer, started with `landlock` among its `lsm=`."
_NO_SECCOMP: Final = "seccomp is missing: it needs a Linux kernel with seccomp filters, on x86_64 or aarch64."
_NO_BUBBLEWRAP: Final = "bubblewrap is missing: install it, so that `bwrap` is on the PATH."


class Sandbox(NamedTuple):
    """What functions reach of the machine's files in strict isolation."""

    read: tuple[Path, ...]
    """Data."""
    hidden: tuple[Path, ...]
    """The server's own, even where it lies below data."""
    write: tuple[Path, ...] = ()
    """What outlives a worker: its account's folder for results of `@cache`."""


def readable(read: Sequence[Path]) -> list[str]:
    """What a sandbox may read: the system's programs and libraries, Python with its packages, and `read`.

    Raises:
        SetupError: that is everything, which would leave no sandbox.
    """
    first = 0 if sys.flags.safe_path else 1  # sys.path begins with the script's folder or the working directory
    python = (sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix, *sys.path[first:])
    wanted = [*(Path(each) for each in (*_SYSTEM, *python)), Path(__file__).parents[1], *read]
    found = [str(path) for path in _outermost(wanted) if path.exists()]
    if "/" in found:
        raise SetupError("strict isolation cannot give functions the folder / to read; name the folders with data")
    return found


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Without those below another one; absolute."""
    absolute = dict.fromkeys(path.absolute() for path in paths)
    return [path for path in absolute if absolute.keys().isdisjoint(path.parents)]


def command(
    program: str,
    arguments: Sequence[str],
    *,
    scratch: Path,
    read: Sequence[Path],
    hidden: Sequence[Path] = (),
    write: Sequence[Path] = (),
    network: bool = True,
) -> list[str]:
    """The command line that runs a program in user, process, IPC, host name and cgroup namespaces of its own.

    Inherited descriptors and the environment reach it as they are; the working directory is `scratch`. Its end, or
    that of whoever started it, is the end of every process in there.

    Args:
        program: usually this interpreter; another must lie in a folder of `read`.
        arguments: of the program.
        scratch: the folder that can be written, and in which it begins.
        read: data that can be read.
        hidden: folders that stay empty though they lie in one that can be read.
        write: more folders that can be written.
        network: whether it has the server's network; else it has none.
    """
    return [
        shutil.which("bwrap") or "bwrap",
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(() if network else ("--unshare-net",)),
        *_files([each.absolute() for each in (scratch, *write)], readable(read), [each.absolute() for each in hidden]),
        *("--chdir", str(scratch.absolute()), "--", program, *arguments),
    ]


def _files(write: Sequence[Path], read: Sequence[str], hidden: Sequence[Path]) -> list[str]:
    """The arguments that make the sandbox's tree of files. Later ones cover earlier ones."""
    size = ("--size", str(_SHARED_MEMORY), "--tmpfs")
    return [
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *(*size, "/dev/shm", *size, "/tmp"),  # noqa: S108
        *(word for path in read for word in ("--ro-bind", path, path)),
        *(word for path in hidden for word in ("--tmpfs", str(path))),
        *(word for path in write for word in ("--bind", str(path), str(path))),
        # Else what is written beside the folders is memory without a limit.
        *(word for path in ("/", *hidden) for word in ("--remount-ro", str(path))),
    ]


def missing(*, user: int | None = None) -> list[str]:
    """A sentence for each layer that strict isolation needs and this machine lacks. Takes a tenth of a second.

    Args:
        user: whom workers run as, if not the server's user.
    """
    offers = _told([sys.executable, *_probe("offers")], user)
    if not offers:
        return [f"{sys.executable} cannot be run by the user that workers run as."]
    lacking = [
        "" if offers.get("landlock") else _NO_LANDLOCK,
        "" if offers.get("seccomp") else _NO_SECCOMP,
        _wrong_with_bubblewrap(user),
    ]
    return [sentence for sentence in lacking if sentence]


def _wrong_with_bubblewrap(user: int | None) -> str:
    """Nothing if it does what `command` asks of it."""
    if shutil.which("bwrap") is None:
        return _NO_BUBBLEWRAP
    with _scratch(user) as scratch:
        tried = _run(command("true", [], scratch=scratch, read=()), user)
    last = tried.stderr.strip(" .\n").rpartition("\n")[2]
    return f"bubblewrap cannot make a sandbox here: {last}." if tried.returncode else ""


def in_force(mode: str, *, user: int | None = None) -> dict[str, bool]:
    """The layers by name, and whether the kernel says that they bind a process of this mode. Takes a tenth of a second.

    Args:
        mode: "default" or "strict".
        user: whom workers run as, if not the server's user.
    """
    with _scratch(user) as scratch:
        line = [sys.executable, *_probe(mode)]
        if mode == "strict":
            line = command(line[0], [*line[1:], str(scratch), *readable(())], scratch=scratch, read=())
        told = _told(line, user)
    told["own_user"] = bool(told) and user not in (None, os.getuid())
    return {layer: told.get(layer, False) for layer in LAYERS}


def _probe(mode: str) -> list[str]:
    return ["-P", "-m", "tileserver.worker.sandbox", mode]


def _told(line: Sequence[str], user: int | None) -> dict[str, bool]:
    """What a probe prints; nothing if it fails."""
    try:
        ended = _run(line, user)
    except OSError:
        return {}
    return dict(json.loads(ended.stdout)) if ended.returncode == 0 else {}


def _run(line: Sequence[str], user: int | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  a command line of our own
        line,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROBE_SECONDS,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        stdin=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=None if user is None else (),
    )


@contextlib.contextmanager
def _scratch(user: int | None) -> Iterator[Path]:
    """A folder that the user may write, for as long as the probe takes."""
    with tempfile.TemporaryDirectory(prefix="tileserver-probe-") as folder:
        if user is not None:
            os.chown(folder, user, user)
        yield Path(folder)


def outer_pid(sandbox_pid: int, inner_pid: int) -> int | None:
    """What the process that calls itself `inner_pid` in a sandbox is called out here; None if it has ended.

    Args:
        sandbox_pid: the process that was started with `command`.
        inner_pid: as os.getpid() tells it in there, or as the nursery reports it.
    """
    return next((pid for pid in processes.tree([sandbox_pid])[1:] if _innermost(pid) == inner_pid), None)


def _innermost(pid: int) -> int | None:
    """Its number in its own namespace: the last of NSpid, proc_pid_status(5)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), None)
