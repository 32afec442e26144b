"""UDF files: found under paths, read with the sibling modules that they import."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tileserver.errors import PublicationError
from tileserver.signature import imported, parse
from tileserver.udfs import Udf


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file's text and what it imports from its own folder."""

    file: Path
    code: str
    headers: dict[str, str] = field(default_factory=dict)
    """Sources by dotted module name."""


Times = dict[Path, tuple[int, int, int]]
"""Of each file the nanosecond of its last change, its size and its inode."""

_OTHERS: Final = frozenset({"site-packages", "node_modules"})
"""Folders of what others wrote."""

_DECORATED: Final = re.compile(r"^@(?:\w+\.)?udf\b", re.MULTILINE)


def find(path: Path) -> list[Path]:
    """The Python files at or under a path, sorted; hidden folders, `__init__.py` and installed packages left out.

    Raises:
        PublicationError: there is no such path, or it cannot be read.
    """
    try:
        if not path.exists():
            raise PublicationError("there is no such file or folder", file=str(path))
        return sorted(_below(path)) if path.is_dir() else [path]
    except OSError as error:
        raise PublicationError(f"cannot be read: {error.strerror}", file=str(path)) from None


def _below(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).parts
        if not any(part.startswith((".", "__")) or part in _OTHERS for part in parts) and file.is_file():
            yield file


def times(paths: Iterable[Path]) -> Times:
    """When what is served last changed; of a single file also its neighbours, which it may import."""
    found: Times = {}
    for path in paths:
        with suppress(OSError):
            for file in _below(path) if path.is_dir() else path.parent.glob("*.py"):
                with suppress(OSError):
                    stat = file.stat()
                    found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def read_all(paths: Iterable[Path]) -> tuple[list[SourceFile], dict[Path, str]]:
    """The files at and under `paths`; for each that cannot be read a line that says why."""
    texts: dict[Path, SourceFile] = {}
    wrong: dict[Path, str] = {}
    for path in paths:
        try:
            files = find(path)
        except PublicationError as error:
            files, wrong[path] = [], str(error)
        for file in files:
            try:
                texts[file] = read(file)
            except PublicationError as error:
                wrong[file] = str(error)
    return list(texts.values()), wrong


def read(file: Path) -> SourceFile:
    """A file with its sibling modules.

    Raises:
        PublicationError: it cannot be read, or is not UTF-8.
    """
    code = _text(file)
    headers: dict[str, str] = {}
    # what it imports under its own name is a library
    _collect(file.parent, imported(code) - {file.stem}, headers)
    return SourceFile(file=file, code=code, headers=headers)


def modules(texts: list[SourceFile]) -> set[Path]:
    """The files among them that others import, and that hold no UDF of their own."""
    siblings = {source.file.parent / f"{name}.py" for source in texts for name in source.headers}
    return {source.file for source in texts if source.file in siblings and not _DECORATED.search(source.code)}


def described(source: SourceFile) -> Udf:
    """The UDF that a file holds; raises PublicationError where it holds none."""
    return parse(source.code, file=str(source.file), headers=source.headers)


def _text(file: Path) -> str:
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise PublicationError("the name of this file or its folder is no text", file=ascii(str(file))) from None
    try:
        if not file.is_file():  # a pipe would never end
            raise PublicationError("is no file", file=str(file))
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise PublicationError("this is not UTF-8 text", file=str(file), line=1) from None
    except OSError as error:
        raise PublicationError(f"cannot be read: {error.strerror}", file=str(file)) from None


def _collect(folder: Path, names: set[str], headers: dict[str, str]) -> None:
    """Add the siblings of these names, and those that they import, to `headers`."""
    for name in names:
        for module, place in _modules(folder, name):
            if module not in headers:
                headers[module] = _text(place)
                _collect(folder, imported(headers[module]), headers)


def _modules(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    if (folder / f"{name}.py").is_file():
        yield name, folder / f"{name}.py"
    elif (folder / name / "__init__.py").is_file():
        for place in sorted((folder / name).rglob("*.py")):
            parts = place.relative_to(folder).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), place
