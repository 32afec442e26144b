import gc
import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from tileserver import udf


@udf(kind="document")
def spies(run: int = 0, pattern: str = "", files: str = "", key: str = ""):
    """Looks for the server's secrets wherever a function can look, and tells where it found any.

    Args:
        pattern: what secrets look like.
        files: names of files to try, with colons between them.
        key: the digest of a secret that has no look.
    """
    secret = re.compile(pattern.encode())
    return {
        "environment": bool(secret.search(repr(dict(os.environ)).encode())),
        "processes": [entry.name for entry in Path("/proc").iterdir() if _tells(entry / "environ", secret)],
        "commands": [entry.name for entry in Path("/proc").iterdir() if _tells(entry / "cmdline", secret)],
        "descriptors": _descriptors(),
        "memory": sorted({type(each).__name__ for each in _texts() if _is_secret(each, secret, key)}),
        "pages": _pages(secret),
        "uid": os.getuid(),
        "files": [name for name in files.split(":") if name and _readable(name)],
    }


def _tells(path, secret):
    with suppress(OSError):
        return bool(secret.search(path.read_bytes()))
    return False


def _descriptors():
    """Device and number of every open file."""
    found = set()
    for number in range(4096):
        with suppress(OSError):
            status = os.fstat(number)
            found.add((status.st_dev, status.st_ino))
    return sorted(found)


def _pages(secret):
    """Parts of the process's memory with a secret in them, as far as it may read it."""
    found = []
    with suppress(OSError), Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            with suppress(OSError, ValueError, OverflowError):
                memory.seek(start)
                if rights.startswith("rw") and secret.search(memory.read(end - start)):
                    found.append(line)
    return found


def _texts():
    """All texts that the collector's objects hold, those of before the fork too."""
    gc.unfreeze()
    for each in gc.get_objects():
        with suppress(Exception):
            yield from _held(each)


def _held(container):
    """Texts in a container, and in those in it of which the collector knows nothing: they hold nothing but texts."""
    for each in gc.get_referents(container):
        if isinstance(each, (str, bytes, bytearray)):
            yield each
        elif isinstance(each, (dict, tuple)) and not gc.is_tracked(each):
            yield from _held(each)


def _is_secret(text, secret, key):
    data = text.encode("utf-8", "replace") if isinstance(text, str) else bytes(text)
    return bool(secret.search(data)) or (len(data) == 32 and hashlib.sha256(data).hexdigest() == key)


def _readable(name):
    with suppress(OSError):
        Path(name).read_bytes()
        return True
    return False
