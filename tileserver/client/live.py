"""A live function as a source that runs by itself: its own text, and lines for what it uses from around it."""

import builtins
import inspect
import math
import symtable
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from tileserver.errors import PublicationError


def source_of(function: Callable[..., Any]) -> str:
    """The source of a function, marked `@udf` if it is not; before it what its names mean: imports, numbers and texts.

    Raises:
        PublicationError: its text is not known, or it uses something else from around it.
    """
    function = inspect.unwrap(function)
    text = _text(function)
    if not hasattr(function, "udf_options"):
        text = f"@udf\n{text}"
    around = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    wanted = sorted(name for name in _free(text) - {"udf"} if name in around or not hasattr(builtins, name))
    lines = [_line(name, around.get(name), function) for name in wanted]
    return "\n".join(["from tileserver import udf", *lines, "\n", text])


def _text(function: Callable[..., Any]) -> str:
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise _refusal("this is no function that 'def' made", function)
    try:
        return textwrap.dedent(inspect.getsource(function))
    except OSError:
        raise _refusal("its text is not known; push a file or a text", function) from None


def _free(text: str) -> set[str]:
    """The names that a text uses and does not define."""
    module = symtable.symtable(text, "udf", "exec")
    used = {each.get_name() for each in module.get_symbols() if each.is_referenced()} | set(_globals(module))
    return used - {each.get_name() for each in module.get_symbols() if each.is_assigned()}


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for child in table.get_children():
        yield from (each.get_name() for each in child.get_symbols() if each.is_global())
        yield from _globals(child)


def _line(name: str, value: Any, function: Callable[..., Any]) -> str:
    """What makes the name mean the same again."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}"
    if type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return f"{name} = {value!r}"
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if own and module and module not in ("__main__", function.__module__):
        return f"from {module} import {own} as {name}"
    raise _refusal(f"it uses '{name}', which is defined outside of it; define it inside, or push the file", function)


def _refusal(reason: str, function: Callable[..., Any]) -> PublicationError:
    return PublicationError(reason, file=getattr(function, "__name__", "udf"))
