"""`AsyncClient` is awaited; what it asks is written in the other modules, for `Client` too."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2

from tileserver.client import runs as _runs
from tileserver.client import tokens as _tokens
from tileserver.client import udfs as _udfs
from tileserver.client.archive import Archive
from tileserver.client.decoding import Answer
from tileserver.client.exchange import Steps
from tileserver.client.methods import Box, like, options
from tileserver.client.outcomes import Came, OnFailure, Outcomes, raised
from tileserver.client.progress import counting
from tileserver.client.runs import What
from tileserver.client.session import Session
from tileserver.tiles import Tile

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    steps: Callable[Concatenate[Session, P], Steps[T]],
) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    """A conversation as a coroutine method."""

    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._drive(steps(client._session, *args, **kwargs))

    return like(steps, method)


class AsyncClient:
    """A server, asked without blocking the event loop; the methods of `Client`, to be awaited, and its arguments.

    `tiles` is an asynchronous iterator; `tile_url`, `file_url` and `map_url` are awaited too, for a name is looked up.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 150.0, concurrency: int = 8
    ) -> None:
        self._session, self._concurrency = Session(url, token), concurrency
        self._http = httpx2.AsyncClient(**options(self._session, timeout))

    @property
    def url(self) -> str:
        """The server's address."""
        return self._session.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    ask = _awaited(Session.ask)
    pages = _awaited(Session.pages)
    push = _awaited(_udfs.push)
    push_all = _awaited(_udfs.push_all)
    udfs = _awaited(_udfs.udfs)
    udf = _awaited(_udfs.udf)
    delete_udf = _awaited(_udfs.delete_udf)
    clear = _awaited(_udfs.clear)
    cache = _awaited(_udfs.cache)
    logs = _awaited(_udfs.logs)
    usage = _awaited(_udfs.usage)
    tokens = _awaited(_tokens.tokens)
    token = _awaited(_tokens.token)
    create_token = _awaited(_tokens.create_token)
    enable_token = _awaited(_tokens.enable_token)
    disable_token = _awaited(_tokens.disable_token)
    cap_token = _awaited(_tokens.cap_token)
    delete_token = _awaited(_tokens.delete_token)
    run = _awaited(_runs.run)
    tile = _awaited(_runs.tile)
    file = _awaited(_runs.file)
    tile_url = _awaited(_runs.tile_url)
    file_url = _awaited(_runs.file_url)
    map_url = _awaited(_runs.map_url)
    tilejson = _awaited(_runs.tilejson)

    async def tiles(
        self, what: What, bounds: Box, zooms: int | Iterable[int], /, format: str | None = None, **parameters: Any
    ) -> AsyncIterator[tuple[Tile, Answer]]:
        """The tiles that an area takes, as `Client.tiles` gives them."""
        async for each in self._each(what, bounds, zooms, format, parameters, raised):
            yield each

    async def warm(
        self, what: What, bounds: Box, zooms: int | Iterable[int], /, format: str | None = None, **parameters: Any
    ) -> int:
        """How many tiles an area takes, which the server then has; arguments and bar as of `tiles`.

        What was stopped goes on where it was: tiles that the server has take no run. Those that fail are asked for
        again by the next call.

        Raises:
            TilesFailedError: some failed, or are not kept, and all others are there; or the first fifty failed alike,
                and no more were asked for.
            TileserverError: none can come.
        """
        outcomes = Outcomes()
        count = sum([1 async for _ in self._each(what, bounds, zooms, format, parameters, outcomes.kept)])
        outcomes.finish()
        return count

    async def export(
        self,
        what: What,
        path: str | Path,
        bounds: Box,
        zooms: int | Iterable[int],
        /,
        format: str | None = None,
        *,
        on_failure: OnFailure | None = None,
        **parameters: Any,
    ) -> int:
        """How many tiles of an area are then in a PMTiles archive; those without anything on them are left out.

        Takes the library `pmtiles`. Arguments and bar are those of `tiles`, errors those of `warm`.

        Args:
            path: where to write it; what is there is replaced once all tiles are, and stays where one fails.
            on_failure: called with each tile that fails and why; the archive is then written without those.

        Raises:
            FormatNotPossibleError: an archive does not hold such tiles.
            NotFoundError: none has anything on it, too.
            SetupError: the library is missing.
        """
        outcomes = Outcomes(on_failure)
        with Archive(path) as archive:
            async for tile, answer in self._each(what, bounds, zooms, format, parameters, outcomes.answer):
                archive.add(tile, answer)
            outcomes.finish()
            archive.write(await self.tilejson(what, **parameters), bounds)  # by now a run has told of its fields
            return len(archive)

    async def _each(
        self,
        what: What,
        bounds: Box,
        zooms: int | Iterable[int],
        format: str | None,
        parameters: dict[str, Any],
        take: Callable[[Tile, Came], Answer | None],
    ) -> AsyncIterator[tuple[Tile, Answer]]:
        """What is taken of the tiles that an area takes, each with its answer."""
        steps, total = await self._drive(_runs.tiles(self._session, what, bounds, zooms, format, parameters))
        with counting("tiles", total) as done:
            async with aclosing(self._at_once(steps)) as row:
                async for tile, came in row:
                    done()
                    if (answer := take(tile, came)) is not None:
                        yield tile, answer

    async def _at_once(self, steps: Iterator[Steps[T]]) -> AsyncGenerator[T, None]:
        waiting: set[asyncio.Task[T]] = set()
        try:
            for each in steps:
                waiting.add(asyncio.create_task(self._drive(each)))
                if len(waiting) >= self._concurrency:
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield task.result()
            for result in asyncio.as_completed(waiting):
                yield await result
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _drive(self, steps: Steps[T]) -> T:
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, float):
                    await asyncio.sleep(asked)
                    asked = next(steps)
                    continue
                try:
                    answer = await self._http.send(asked)
                except httpx2.RequestError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
