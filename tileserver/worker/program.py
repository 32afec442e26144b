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
from contextlib import suppress
from typing import Any

import msgspec

from tileserver.annotations import is_plain
from tileserver.errors import PublicationError
from tileserver.jobs import Describe, Described, Source
from tileserver.signature import parse
from tileserver.udfs import Udf, option_value
from tileserver.worker import fused


class Program(msgspec.Struct, frozen=True):
    """Ready to be called."""

    source: Source
    udf: Udf
    function: Callable[..., Any]

    def call(self, arguments: dict[str, Any]) -> Any:
        """What the function returns; a coroutine is run to its end."""
        result = self.function(**arguments)
        return asyncio.run(_finish(result)) if hasattr(result, "__await__") else result


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
    for name in source.headers:  # what the nursery imported under that name is somebody else's
        sys.modules.pop(name, None)
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
    told: dict[str, Any] = {}
    for name in question.options:
        with suppress(PublicationError):  # an option that is no plain data keeps its default
            told[name] = option_value(name, options.get(name), program.source.path, program.udf.line)
    return Described(options=told, defaults={name: value for name, value in defaults.items() if is_plain(value)})
