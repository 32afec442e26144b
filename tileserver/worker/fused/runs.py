"""`fused.run`: by name or token on the server, in this process where the UDF is an object."""

import asyncio
import inspect
import textwrap
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import FunctionType
from typing import Any, Final, NamedTuple

from tileserver import authoring
from tileserver.errors import CallError, PublicationError
from tileserver.signature import parse
from tileserver.tiles import Tile
from tileserver.udfs import Udf, seconds
from tileserver.worker import binding
from tileserver.worker.fused.loaded import Loaded

_HERE: Final = (None, "local", "remote", "realtime", "auto")
_OPTIONS: Final = frozenset(
    (
        *("engine", "instance_type", "type", "max_retry", "disk_size_gb"),
        *("cache", "cache_max_age", "cache_reset", "cache_storage", "cache_verbose"),
    )
)
"""Options of a run that are no parameters of the UDF, beside those that begin with an underscore."""


class Asked(NamedTuple):
    """What shall run, and how."""

    udf: Any
    tile: Tile | None
    parameters: dict[str, Any]
    max_age: int | None


def run(udf: Any = None, udf_name: str = "", /, *, sync: bool = True, **options: Any) -> Any:
    """What a UDF returns.

    Args:
        udf: its name, `email/name` or shared token: it runs on the server, through cache and queue; or an object out of
            `fused.load` or `@fused.udf`: it runs in this process.
        udf_name: its name, where `udf` is an e-mail address.
        sync: False gives a coroutine.
        options: `x`, `y` and `z`, or `tile`, for which it is asked; `cache_max_age`, or `cache=False`; `token`,
            `udf_email` and `udf_name` in the place of `udf`; `parameters`, a dict of the UDF's own; and these by name.
            `engine` and `instance_type` may say that it runs here.

    Raises:
        CallError: there is no such UDF, it failed, or calls are too many or too deep; see `tileserver.run`.
    """
    asked = _asked(_address(udf, udf_name, options), options)
    return _run(asked).result() if sync else _awaited(asked)


async def run_async(udf: Any = None, udf_name: str = "", /, **options: Any) -> Any:
    """The same, for coroutines."""
    options.pop("sync", None)
    return await _awaited(_asked(_address(udf, udf_name, options), options))


def _awaited(asked: Asked) -> Coroutine[Any, Any, Any]:
    async def wait() -> Any:
        if not isinstance(asked.udf, str):
            return await asyncio.to_thread(run_here, asked.udf, asked.tile, asked.parameters)
        return await asyncio.wrap_future(_run(asked))

    return wait()


def _address(udf: Any, udf_name: str, options: dict[str, Any]) -> Any:
    """The object, the token or the name; takes from the options those that say it."""
    token, email = options.pop("token", None), options.pop("udf_email", None)
    udf_name = udf_name or options.pop("udf_name", None) or ""
    udf = udf or options.pop("udf", None) or token or email
    if udf is None and not udf_name:
        raise CallError("run() needs a UDF: its name, a shared token, or what fused.load gives")
    if udf_name and udf:
        return f"{udf}/{udf_name}"
    return udf or udf_name


def _asked(udf: Any, options: dict[str, Any]) -> Asked:
    for name in ("engine", "instance_type"):
        if options.get(name) not in _HERE:
            raise CallError(
                f"{name}={options[name]!r} is not there on this server: functions run as 'remote' or 'local'"
            )
    age = 0 if options.get("cache") is False else options.get("cache_max_age")
    given = dict(options.pop("parameters", None) or {})
    tile = _tile(options)
    given |= {name: value for name, value in options.items() if name not in _OPTIONS and not name.startswith("_")}
    return Asked(udf, tile, given, None if age is None else seconds(age))


def _tile(options: dict[str, Any]) -> Tile | None:
    """Of `tile`, or of `x`, `y`, `z`; what is none of these stays a parameter."""
    if {"x", "y", "z"} <= options.keys():
        x, y, z = (options.pop(name) for name in "xyz")
        return None if z is None else Tile(int(z), int(x), int(y))
    given: Any = options.get("tile")
    if hasattr(given, "z"):  # ours, mercantile's, or a frame with one row
        size = given.size if isinstance(given, Tile) else 256
        tile = Tile(*(_first(getattr(given, name)) for name in "zxy"), size=size)
    elif isinstance(given, tuple) and len(given) == 3:
        tile = Tile(*given)
    else:
        return None
    del options["tile"]
    return tile


def _first(value: Any) -> int:
    return int(value.iloc[0] if hasattr(value, "iloc") else value)


def _run(asked: Asked) -> "Future[Any]":
    if isinstance(asked.udf, str):
        tile, age = asked.tile, asked.max_age
        return authoring.ask(authoring.call_of(asked.udf, tile, age, asked.parameters, lenient=True))
    done: Future[Any] = Future()
    done.set_result(run_here(asked.udf, asked.tile, asked.parameters))
    return done


def run_here(udf: Any, tile: Tile | None, parameters: dict[str, Any]) -> Any:
    """What a UDF that is an object returns in this process; parameters that it does not take are dropped.

    Raises:
        CallError: it is no UDF.
        InvalidParameterError: a parameter does not convert, or is missing.
    """
    if not isinstance(udf, (Loaded, FunctionType)):
        raise CallError(f"a UDF is a name, a token, or a function, not {type(udf).__name__}")
    known, function = (udf._udf, udf._function()) if isinstance(udf, Loaded) else (described(udf), udf)
    return _finished(function(**binding.bind_values(known, parameters, tile)))


def described(function: Callable[..., Any]) -> Udf:
    """What the text of a function says that was defined in another one's; kept with it, as it may run many times."""
    known = vars(function).get("udf_described")
    if known is None:
        known = vars(function)["udf_described"] = _read(function)
    return known


def _read(function: Callable[..., Any]) -> Udf:
    try:
        code = textwrap.dedent(inspect.getsource(function))
        return parse(code, file="udf.py", name="udf", entry=function.__name__)
    except (OSError, PublicationError) as error:
        raise CallError(f"the text of the UDF '{function.__name__}' cannot be read: {error}") from None


def _finished(result: Any) -> Any:
    """A coroutine run to its end, in a thread of its own where this one runs another."""
    if not inspect.isawaitable(result):
        return result

    async def wait() -> Any:
        return await result

    done: Future[Any] = Future()

    def work() -> None:
        try:
            done.set_result(asyncio.run(wait()))
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return done.result()
