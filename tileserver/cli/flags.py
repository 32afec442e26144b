"""The flags of `serve`: one for each setting, by its own description and default."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tileserver.settings import Settings

_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_Paths = Annotated[
    list[Path] | None, typer.Argument(help="Files, or folders of files, with a UDF each.", show_default=False)
]
_Reload = Annotated[bool, typer.Option("--reload", help="Publish edits as they are saved.")]
_SIZES: Final = frozenset({"worker_memory", "worker_disk", "memory_budget", "cache_memory", "cache_disk", "files_disk"})


def with_setting_flags(serve: Callable[..., None]) -> Callable[..., None]:
    """A command for typer that hands its paths, `reload` and the given flags to `serve`."""

    def command(**given: Any) -> None:
        serve(given.pop("paths") or [], reload=given.pop("reload"), flags=given)

    parameters = [
        inspect.Parameter("paths", _KEYWORD, default=None, annotation=_Paths),
        inspect.Parameter("reload", _KEYWORD, default=False, annotation=_Reload),
        *(_flag(name, info) for name, info in Settings.model_fields.items()),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _flag(name: str, info: Any) -> inspect.Parameter:
    """Left out it is None, so that environment and file are asked; the default is only shown."""
    plain = info.annotation if info.annotation in (int, float, bool, Path) and name not in _SIZES else str
    help_ = info.description + _shown(name, info.default)
    option = typer.Option(f"--{name.replace('_', '-')}", help=help_, show_default=False)
    return inspect.Parameter(name, _KEYWORD, default=None, annotation=Annotated[plain | None, option])


def _shown(name: str, default: object) -> str:
    """What the help says of a default; nothing where the machine decides it."""
    if name in _SIZES and isinstance(default, int):
        default = f"{default // 10**9}GB" if default % 10**9 == 0 else f"{default // 10**6}MB"
    return f" (default {default})" if default and isinstance(default, (str, int, float)) else ""
