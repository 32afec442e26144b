"""What a UDF's author imports. The decorator leaves the function as it is, so it can be called and tested."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar, overload

from tileserver.errors import CallError, TileserverError
from tileserver.jobs import Call, Fetch, Source, Wish
from tileserver.parameters import as_text
from tileserver.tiles import Tile
from tileserver.udfs import seconds

P = ParamSpec("P")
R = TypeVar("R")


@overload
def udf(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def udf(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def udf(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """The function itself, marked as the entry of its file; `@udf` and `@udf(minzoom=0, ...)` both work.

    The server reads options and signature from the source; at run time they are kept as `function.udf_options`.
    """
    if function is not None:
        function.udf_options = options  # type: ignore[attr-defined]
        return function
    return lambda decorated: _marked(decorated, options)


def _marked(function: Callable[P, R], options: dict[str, Any]) -> Callable[P, R]:
    function.udf_options = options  # type: ignore[attr-defined]
    return function


Ask = Callable[[Wish], "Future[Any]"]
_connection: list[Ask] = []
"""Where questions go in a worker: its socket."""


def connect(ask: Ask) -> None:
    """Let `run` ask so."""
    _connection[:] = [ask]


def run(
    name: str,
    /,
    *,
    tile: "Tile | tuple[int, int, int] | None" = None,
    cache_max_age: int | str | None = None,
    **parameters: Any,
) -> Any:
    """What another UDF of the same account returns: an array, a table, text, bytes, or plain data, as it returned it.

    The answer may come from the cache; a run has the time that the calling function has left, and the calling function
    takes no core while it waits. It works at module level too: what a module keeps goes with its process as soon as the
    UDF called has changed. Dates, geometries and tables as parameters travel as text (ISO 8601, GeoJSON). Where no
    server runs the calling function, as in a notebook, the one that `tileserver.Client` finds is asked.

    Args:
        name: the UDF's name, or a shared token.
        tile: the tile for which it is asked, z, x, y where it is a tuple; None asks without a tile.
        cache_max_age: seconds, or as `"1h"`: how old the answer may be; 0 runs it anew. None leaves it to the UDF.
        parameters: the UDF's own.

    Raises:
        CallError: there is no such UDF, it failed, calls go deeper than five or in a circle, 64 are under way already,
            or the parameters take more than 1 MB; `cause` is a code.
    """
    return _ask(name, tile, cache_max_age, parameters).result()


async def run_async(
    name: str,
    /,
    *,
    tile: "Tile | tuple[int, int, int] | None" = None,
    cache_max_age: int | str | None = None,
    **parameters: Any,
) -> Any:
    """The same as `run`, for coroutines: `await asyncio.gather(run_async(...), run_async(...))` asks both at once."""
    return await asyncio.wrap_future(_ask(name, tile, cache_max_age, parameters))


def _ask(name: str, tile: Any, max_age: int | str | None, parameters: dict[str, Any]) -> "Future[Any]":
    if not _connection:
        return _outside(name, {"tile": tile, "cache_max_age": max_age, **parameters})
    return ask(call_of(name, tile, max_age, parameters))


def ask(request: Wish) -> "Future[Any]":
    """What the server answers.

    Raises:
        CallError: this is no function that a server runs.
    """
    if not _connection:
        raise CallError("this works in a function that a server runs.")
    return _connection[0](request)


def fetch(name: str) -> Source:
    """The code of a UDF, by its name, a shared token, or its address on GitHub; raises CallError."""
    source: Source = ask(Fetch(id=0, job=0, name=name)).result()
    return source


def call_of(
    name: str, tile: Any, max_age: int | str | None, parameters: dict[str, Any], *, lenient: bool = False
) -> Call:
    """The call of a UDF with these parameters.

    Args:
        lenient: whether parameters that it does not take are dropped.
    """
    return Call(
        id=0,
        job=0,
        name=name,
        arguments={key: [as_text(value)] for key, value in parameters.items() if value is not None},
        tile=(tile.z, tile.x, tile.y) if isinstance(tile, Tile) else tile,
        size=tile.size if isinstance(tile, Tile) else 256,
        max_age=None if max_age is None else seconds(max_age),
        lenient=lenient,
    )


def _outside(name: str, asked: dict[str, Any]) -> "Future[Any]":
    """The question to a server elsewhere, asked in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    thread = ThreadPoolExecutor(1)
    answer = thread.submit(_through_client, name, asked)
    thread.shutdown(wait=False)
    return answer


def _through_client(name: str, asked: dict[str, Any]) -> Any:
    from tileserver.client import Client

    try:
        with Client() as client:
            return client.run(name, **asked)
    except TileserverError as error:
        raise CallError(str(error), cause=error.code) from error
