"""What a function returned: readable on a terminal, as it is in a pipe or a file."""

import csv
import json
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tileserver.cli.runs import plain, size
from tileserver.errors import SetupError
from tileserver.formats import FORMATS

if TYPE_CHECKING:
    from tileserver.client import Answer

READABLE: Final = "geojson,csv,txt,json,html,png"
"""What is asked for where nobody says a format: text of all that can be text."""
_JSON: Final = frozenset({"application/json", "application/geo+json"})


def format_of(file: Path | None, said: str | None) -> str:
    """The format to ask for: what is said, else what the file's name ends with."""
    if said is not None or file is None:
        return said or READABLE
    suffix = file.suffix.lstrip(".").lower()
    if suffix not in FORMATS:
        raise typer.BadParameter(f"no format is named '{suffix}'; choose another file name, or say --format")
    return suffix


def write(answer: "Answer", file: Path) -> None:
    """Into a file."""
    try:
        file.write_bytes(answer.body)
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}") from None
    print(f"wrote {file}: {_described(answer)}", file=sys.stderr)


def show(answer: "Answer") -> None:
    """On standard output: readable on a terminal, elsewhere as it came.

    Raises:
        SetupError: it is no text, and there is a terminal.
    """
    kind = answer.media_type.partition(";")[0]
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(answer.body)
    elif kind == "text/csv":
        _show_table(answer.body.decode(errors="replace"))
    elif kind in _JSON or kind.startswith("text/"):
        print(plain(_laid_out(answer.body.decode(errors="replace"), kind)))
    else:
        raise SetupError(f"a terminal cannot show {_described(answer)}; write it to a file with -o FILE")


def _laid_out(text: str, kind: str) -> str:
    """JSON over several lines; all else as it is, also what is called JSON and is none."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if kind in _JSON else text
    except ValueError:
        return text


def _show_table(text: str) -> None:
    head, *rows = csv.reader(StringIO(text, newline="")) if text.strip() else [[]]
    table = Table(*(Column(Text(plain(name)), overflow="fold") for name in head), box=None)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console().print(table)


def _described(answer: "Answer") -> str:
    return f"{size(len(answer.body))} of {answer.media_type.partition(';')[0]}"
