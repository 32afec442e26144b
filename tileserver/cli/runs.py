"""A run as text for a terminal."""

import json
import re
from datetime import datetime
from typing import Any, Final

from rich.text import Text

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_PARAMETERS_WIDTH: Final = 60


def shown(run: dict[str, Any]) -> Text:
    """A line of facts, what was printed below it, and why it failed."""
    ok = run["outcome"] == "ok"
    text = Text()
    text.append(f"{datetime.fromtimestamp(run['started']):%m-%d %H:%M:%S}  ", "dim")
    text.append(f"{run['tile'] or 'file':<12}  ", "bold")
    text.append(f"{run['outcome']:<16}  ", "green" if ok else "bold red")
    text.append(
        f"{_milliseconds(run['wall_ms']):>8}  cpu {_milliseconds(run['cpu_ms']):>8}  {size(run['memory']):>7}  "
    )
    text.append(f"{run['cache']:<5}  {_parameters(run['parameters'])}", "dim")
    for line in plain(run["printed"]).splitlines():
        text.append(f"\n  {line}")
    if not ok:
        text.append(f"\n  {_reason(run)}", "red")
    text.rstrip()
    return text


def _reason(run: dict[str, Any]) -> str:
    message = "\n  ".join(plain(run["message"] or run["exception"] or run["outcome"]).splitlines())
    return f"line {run['line']}: {message}" if run["line"] else message


def plain(text: str) -> str:
    """Text that does nothing to a terminal: a parameter of a stranger's may be in it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOURS.sub("", text.replace("\r\n", "\n")))


def _parameters(parameters: dict[str, Any]) -> str:
    text = " ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())
    return text if len(text) <= _PARAMETERS_WIDTH else f"{text[: _PARAMETERS_WIDTH - 1]}…"


def _milliseconds(value: float) -> str:
    if not value:
        return "-"
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def size(count: int) -> str:
    """Bytes in the unit that fits; a dash for none."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 10 * unit else f"{count / unit:.0f} {name}"
    return f"{count} B" if count else "-"
