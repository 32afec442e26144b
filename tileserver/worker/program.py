"""A UDF's code, loaded: its module, its siblings, its entry function."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from tileserver.annotations import is_plain
from tileserver.errors import PublicationError
from tileserver.jobs import Describe, Described, Source
from tileserver.signature import parse
from tileserver.udfs import Udf, option_value
from tileserver.worker import fused, modules
from tileserver.worker.fused.secret import provide

_FUSED: Final = fused.__name__


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


def load(source: Source) -> Program:
    """The program of a source; raises whatever its module level raises."""
    provide(source.secrets)
    name = source.name.replace(".", "_").replace("-", "_")
    given = {"fused": fused} if source.fused else {}
    module = modules.installed(name, source.code, source.path, given, source.headers)
    udf = parse(source.code, file=source.path, headers=source.headers, entry=source.entry)
    return Program(source, udf, module.__dict__[source.entry])


def provide_fused() -> None:
    """Our module under the name that sources import, also where the SDK is installed.

    For the nursery: a look at all modules writes to the pages that hold their names, 3.5 MB in each worker.
    """
    for name in [name for name in sys.modules if name == "fused" or name.startswith("fused.")]:
        del sys.modules[name]
    ours = {name: module for name, module in sys.modules.items() if name == _FUSED or name.startswith(f"{_FUSED}.")}
    sys.modules.update({f"fused{name.removeprefix(_FUSED)}": module for name, module in ours.items()})


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
