"""A UDF's code, loaded: its module, its siblings, its entry function."""

import asyncio
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import linecache
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tileserver.jobs import Describe, Described, Source
from tileserver.signature import parse
from tileserver.udfs import Udf
from tileserver.worker import fused


class Program(msgspec.Struct, frozen=True):
    """Ready to be called."""

    source: Source
    udf: Udf
    function: Callable[..., Any]

    def call(self, arguments: dict[str, Any]) -> Any:
        """What the function returns; a coroutine is run to its end."""
        result = self.function(**arguments)
        return asyncio.run(_finish(result)) if inspect.isawaitable(result) else result


async def _finish(awaitable: Any) -> Any:
    return await awaitable


class _Siblings(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that came with a UDF, before anything installed under the same name."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec where the name is one of ours."""
        if fullname not in self._headers:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in self._headers)
        return importlib.util.spec_from_loader(fullname, self, is_package=is_package)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's code."""
        name = module.__name__
        _run(self._headers[name], f"{name}.py", module)


def load(source: Source) -> Program:
    """The program of a source; raises whatever its module level raises."""
    sys.meta_path.insert(0, _Siblings(source.headers))
    module = types.ModuleType(source.name.replace(".", "_").replace("-", "_"))
    module.__file__ = source.path
    sys.modules[module.__name__] = module
    if source.fused:
        sys.modules["fused"] = module.__dict__["fused"] = fused
    _run(source.code, source.path, module)
    function = module.__dict__[source.entry]
    return Program(source, parse(source.code, file=source.path, headers=source.headers), function)


def _run(code: str, path: str, module: types.ModuleType) -> None:
    linecache.cache[path] = (len(code), None, code.splitlines(keepends=True), path)
    exec(compile(code, path, "exec"), module.__dict__)  # noqa: S102 - this is what a worker is for


def describe(program: Program, question: Describe) -> Described:
    """The computed options and defaults that are plain data."""
    options = getattr(program.function, "udf_options", {})
    parameters = inspect.signature(program.function).parameters
    defaults = {name: parameters[name].default for name in question.defaults if name in parameters}
    return Described(
        options={name: options[name] for name in question.options if name in options and _is_plain(options[name])},
        defaults={name: value for name, value in defaults.items() if _is_plain(value)},
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(each) for each in value)
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(each) for name, each in value.items())
    return value is None or type(value) in (bool, int, float, str)
