"""What a function is: its code, its defaults, and the globals that it refers to, functions among them."""

import dis
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from tileserver.functioncache.contents import Contents, NoContentError

HEADERS: Final = "__headers__"
"""The global of a UDF's modules that holds the texts of those that came with it, by name; no other module has it."""

TEXT: Final = "__text__"
"""The global of the same modules that holds the module's own."""

_FORMAT: Final = "1"
"""Changes with what is digested, and how."""


def key(function: Callable[..., Any], namespace: str, arguments: Mapping[str, Any]) -> str:
    """The digest of a call: the function as it is now, where it runs, and its arguments by content.

    Raises:
        NoContentError: an argument has no content that could be compared; names it.
    """
    contents = Contents(_add)
    contents.text(_FORMAT, namespace, sys.version)
    _add(contents, function)
    for name, value in arguments.items():
        contents.text(name)
        try:
            contents.add(value)
        except (NoContentError, RecursionError):
            raise NoContentError(f"argument {name!r} has no content that could be compared") from None
    return contents.hexdigest()


def _add(contents: Contents, thing: Any) -> None:
    """A function, a class or a module: of the author's all that it is, of a library's its name and version."""
    contents.text(getattr(thing, "__qualname__", ""))
    if id(thing) in contents.seen:
        return
    contents.seen[id(thing)] = thing
    if isinstance(thing, ModuleType):
        _add_module(contents, thing)
    elif isinstance(thing, type) and HEADERS in vars(sys.modules.get(thing.__module__, sys)):
        _add_class(contents, thing)
    elif isinstance(thing, FunctionType) and HEADERS in thing.__globals__:
        _add_function(contents, thing)
    else:
        module = getattr(thing, "__module__", "") or ""
        contents.text(module, _version(module))
    if hasattr(thing, "__wrapped__"):
        _add(contents, thing.__wrapped__)


def _add_class(contents: Contents, thing: type) -> None:
    """Its bases, and what its body says; of what Python notes there itself only functions count."""
    for base in thing.__bases__:
        _add(contents, base)
    for name, value in vars(thing).items():
        if isinstance(value, FunctionType) or not name.startswith("__"):
            contents.text(name)
            for part in _parts(value):
                _add_value(contents, part, vars(sys.modules[thing.__module__]))


def _parts(attribute: Any) -> tuple[Any, ...]:
    """The functions of a property or a method of the class; anything else itself."""
    if isinstance(attribute, property):
        return attribute.fget, attribute.fset, attribute.fdel
    if isinstance(attribute, (staticmethod, classmethod)):
        return (attribute.__func__,)
    return (attribute.func,) if isinstance(attribute, functools.cached_property) else (attribute,)


def _add_module(contents: Contents, module: ModuleType) -> None:
    contents.text(module.__name__, _version(module.__name__))
    _add_headers(contents, vars(module))


def _add_headers(contents: Contents, names: Mapping[str, Any]) -> None:
    """The texts of all modules that came with the UDF: one may import the others."""
    for name, text in sorted(names.get(HEADERS, {}).items()):
        contents.text(name, text)


def _version(module: str | None) -> str:
    """Of the package that a module belongs to, where it says one."""
    root = sys.modules.get((module or "").partition(".")[0])
    return str(getattr(root, "__version__", ""))


def _add_function(contents: Contents, function: FunctionType) -> None:
    code = _read(function.__code__)
    contents.text(code.digest)
    values = [function.__defaults__, function.__kwdefaults__, *_closure(function)]
    for name in code.globals:
        if name in function.__globals__:
            contents.text(name)
            values.append(function.__globals__[name])
    for value in values:
        _add_value(contents, value, function.__globals__)
    if code.imports & {name.partition(".")[0] for name in function.__globals__[HEADERS]}:
        _add_headers(contents, function.__globals__)


def _add_value(contents: Contents, value: Any, names: Mapping[str, Any]) -> None:
    """A value that a function refers to; of what has no content, as a connection, the text that may have made it.

    Args:
        names: the globals of the module that refers to it.
    """
    try:
        contents.add(value)
    except (NoContentError, RecursionError):
        contents.text("without content", names.get(TEXT, ""))
        _add_headers(contents, names)


def _closure(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that has no value yet
            yield None


_NAMES: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


class _Code(NamedTuple):
    """What a function's code says by itself."""

    digest: str
    globals: tuple[str, ...]
    imports: frozenset[str]
    """First parts of the names of the modules that it imports when it runs."""


@functools.lru_cache(1024)
def _read(code: CodeType) -> _Code:
    contents, instructions = Contents(_add), list(_instructions(code))
    _add_code(contents, code)
    names = {each.argval for each in instructions if each.opname in _NAMES}
    imports = {each.argval.partition(".")[0] for each in instructions if each.opname == "IMPORT_NAME"}
    return _Code(contents.hexdigest(), tuple(sorted(names)), frozenset(imports))


def _add_code(contents: Contents, code: CodeType) -> None:
    """What it does, not where it stands."""
    contents.raw(code.co_code)
    contents.text(*code.co_names, "", *code.co_varnames, "", *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(contents, constant)
        else:
            contents.add(constant)


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
