"""UDF files: found under the paths given to `serve`, read with the sibling modules that they import."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tileserver.errors import PublicationError
from tileserver.signature import parse
from tileserver.udfs import Udf


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file's text and what it imports from its own folder."""

    file: Path
    code: str
    headers: dict[str, str] = field(default_factory=dict)
    """Sources by dotted module name."""


def find(paths: Iterable[Path]) -> list[Path]:
    """The Python files at and under `paths`, sorted; hidden folders and `__init__.py` left out.

    Raises:
        PublicationError: a path that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise PublicationError("there is no such file or folder", file=str(path))
        found |= dict.fromkeys([path] if path.is_file() else sorted(_below(path)))
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).parts
        if not any(part.startswith((".", "__")) for part in parts):
            yield file


def read(file: Path) -> SourceFile:
    """A file with its sibling modules.

    Raises:
        PublicationError: it cannot be read, or is not UTF-8.
    """
    code = _text(file)
    headers: dict[str, str] = {}
    _collect(file.parent, code, headers)
    return SourceFile(file=file, code=code, headers=headers)


def described(source: SourceFile) -> Udf:
    """The UDF that a file holds; raises PublicationError where it holds none."""
    return parse(source.code, file=str(source.file), headers=source.headers)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise PublicationError("this is not UTF-8 text", file=str(file), line=1) from None
    except OSError as error:
        raise PublicationError(f"cannot be read: {error.strerror}", file=str(file)) from None


def _collect(folder: Path, code: str, headers: dict[str, str]) -> None:
    """Add the siblings that `code` imports, and theirs, to `headers`."""
    for name in _imported(code):
        for module, place in _modules(folder, name):
            if module not in headers:
                headers[module] = _text(place)
                _collect(folder, headers[module], headers)


def _imported(code: str) -> set[str]:
    """First parts of the names of modules that a text imports."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
    return names


def _modules(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    if (folder / f"{name}.py").is_file():
        yield name, folder / f"{name}.py"
    elif (folder / name / "__init__.py").is_file():
        for place in sorted((folder / name).rglob("*.py")):
            parts = place.relative_to(folder).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), place
