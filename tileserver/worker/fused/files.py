"""`fused.download` and `fused.file_path`: files that outlive a worker, in its account's folder; and `fused.api`."""

import hashlib
import shutil
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

from tileserver import authoring, functioncache
from tileserver.errors import CallError
from tileserver.jobs import Read

_WAIT_SECONDS: Final = 600
_SILENT_SECONDS: Final = 60


class Api:
    """What functions have of the SDK's client: its account's files, to be read. Other uses say where to go instead."""

    def get(self, path: str, **_: Any) -> bytes:
        """The content of a file, by its address as `fd://path`.

        Raises:
            CallError: there is no such file, or it has more than 64 MB.
        """
        content: bytes = authoring.ask(Read(id=0, job=0, name=path)).result()
        return content

    def list(self, path: str, *, details: bool = False, **_: Any) -> list[Any]:
        """The addresses of what is in a folder; with `details`, objects that have size and time.

        Raises:
            CallError: there is no such folder.
        """
        found = authoring.ask(Read(id=0, job=0, name=path, listed=True)).result()
        return [_details(**each) if details else each["url"] for each in found]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise CallError(f"fused.api.{name} is not there for functions: ask the server from outside, with the SDK")

    def __call__(self, *_: Any, **__: Any) -> Any:
        """As `fused.api.FusedAPI()`."""
        raise CallError("a function has no client of the server: ask it from outside, with the SDK")


def _details(*, modified: float, **facts: Any) -> SimpleNamespace:
    return SimpleNamespace(**facts, last_modified=datetime.fromtimestamp(modified, UTC))


api = Api()


def file_path(file_path: str, mkdir: bool = True) -> str:
    """The path of a file in the account's folder; its folder is made.

    Files that have not been written to for longest are removed when the folder is full.

    Raises:
        CallError: the path leads out of the folder.
    """
    place = _place(file_path)
    if mkdir:
        (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
    return str(place)


def download(url: str, file_path: str, storage: str = "auto") -> str:
    """The path of a file that holds what is at a URL; it is fetched once, whoever asks for it meanwhile.

    Args:
        url: `https://`, `http://`, `fd://`, or what Arrow opens, as `s3://` and `gs://`.
        file_path: its path in the account's folder.
        storage: has no effect.

    Raises:
        OSError: it cannot be fetched.
        CallError: the account has no such file, or it is too large.
    """
    place, store = _place(file_path), _store()
    lock = f"download-{hashlib.sha256(str(place).encode()).hexdigest()[:32]}"
    if not place.exists():
        with store.locked(lock, _WAIT_SECONDS):
            if not place.exists():  # another process may have fetched it meanwhile
                with store.writing(place) as draft:
                    _fetch(url, draft)
    return str(place)


def _place(name: str) -> Path:
    base = (_store().folder / "files").resolve()
    place = (base / name.strip("/")).resolve()
    if not place.is_relative_to(base):
        raise CallError(f"the path {name!r} leads out of the folder for files")
    return place


def _store() -> functioncache.Store:
    store = functioncache.place()
    if store is None:
        raise CallError("files are kept for functions that a server runs")
    return store


def _fetch(url: str, place: Path) -> None:
    if urlsplit(url).scheme in ("http", "https"):
        try:
            _fetch_http(url, place)
        except HTTPException as error:
            raise OSError(f"the download broke off: {error!r}") from error
        return
    if urlsplit(url).scheme == "fd":
        place.write_bytes(api.get(url))
        return
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(url)
    with system.open_input_stream(path) as stream, place.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)


def _fetch_http(url: str, place: Path) -> None:
    with urllib.request.urlopen(url, timeout=_SILENT_SECONDS) as answer, place.open("wb") as file:  # noqa: S310 - one of two schemes
        shutil.copyfileobj(answer, file, 1 << 20)
        if answer.length:  # the library takes a body that ends too soon for whole
            raise OSError(f"the download broke off {answer.length} bytes before its end")
