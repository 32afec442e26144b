"""The files in which the fused SDK looks for server and credentials (hosted API, sections 1.1 and 1.2)."""

import json
import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

from tileserver.errors import SetupError

_COPY: Final = ".before-tileserver"
"""Ends the name of the copy of what was there; an empty one means that nothing was."""
_OURS: Final = re.compile(r"^[ \t]*(base_url|shared_udf_base_url)[ \t]*=.*\n?", re.MULTILINE)
_TABLE: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)


def write(folder: Path, url: str, token: str) -> list[Path]:
    """Point the SDK at a server; its other settings stay.

    Returns:
        The files written, which only their user can read.

    Raises:
        SetupError: settings are there that cannot be read.
    """
    base = f"{url}/server/v1"
    settings = {"base_url": base, "shared_udf_base_url": f"{base}/realtime-shared"}
    place = _settings(folder)
    texts = {place: _merged(place, settings), folder / "credentials": _credentials(token)}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, text in texts.items():
        _keep_copy(file)
        _replace(file, text.encode())
    return list(texts)


def restore(folder: Path) -> list[Path]:
    """Put back what was there before; the files that were."""
    restored = []
    for copy in sorted(folder.glob(f"*{_COPY}")):
        place = copy.with_name(copy.name.removesuffix(_COPY))
        copy.replace(place)
        if not place.stat().st_size:
            place.unlink()
        restored.append(place)
    return restored


def _settings(folder: Path) -> Path:
    """The file of settings that the SDK reads: TOML, else JSON where there is only that."""
    toml, other = folder / "settings.toml", folder / "settings.json"
    return other if other.exists() and not toml.exists() else toml


def _merged(place: Path, settings: dict[str, str]) -> str:
    try:
        text = place.read_text("utf-8") if place.exists() else ""
        if place.suffix == ".json":
            return json.dumps(json.loads(text) | settings, indent=2)
        return _merged_toml(text, settings)
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"{place} cannot be read ({error}); mend it or move it away") from None


def _merged_toml(text: str, settings: dict[str, str]) -> str:
    """The text with the settings in front, where no table has begun yet."""
    table = _TABLE.search(text)
    end = table.start() if table else len(text)
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    merged = lines + _OURS.sub("", text[:end]) + text[end:]
    if tomllib.loads(merged) != tomllib.loads(text) | settings:
        raise ValueError("its addresses cannot be replaced")
    return merged


def _credentials(token: str) -> str:
    """Such as every version of the SDK reads, and none wants to refresh."""
    content: dict[str, Any] = {
        "access_token": token,
        "auth_scheme": "Bearer",
        "token_type": "Bearer",
        "refresh_token": "none",
        "id_token": "none",
        "scope": "openid",
        "expires_in": 3153600000,
        "expires_at": "2124-01-01T00:00:00+00:00",
    }
    return json.dumps(content)


def _keep_copy(file: Path) -> None:
    """Once: what a second login finds is the first one's."""
    copy = file.with_name(file.name + _COPY)
    if not copy.exists():
        _replace(copy, file.read_bytes() if file.exists() else b"")


def _replace(file: Path, content: bytes) -> None:
    descriptor, aside = tempfile.mkstemp(dir=file.parent)  # 0600
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
    Path(aside).replace(file)
