"""`Client` waits for the server; what it asks is written in the other modules, for `AsyncClient` too."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import closing
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


def _blocking(steps: Callable[Concatenate[Session, P], Steps[T]]) -> "Callable[Concatenate[Client, P], T]":
    """A conversation as a method that waits for its end."""

    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._drive(steps(client._session, *args, **kwargs))

    return like(steps, method)


class Client:
    """A server, asked and waited for. `AsyncClient` has the same methods, to be awaited.

    Args:
        url: the server's address; None takes `TILESERVER_URL`, else the server that `tileserver login` chose, else the
            one on this machine.
        token: a private token; None takes the one that is kept for that server. Without one, shared tokens can be run.
        timeout: seconds that an answer may take.
        concurrency: how many tiles `tiles` asks for at once.

    Raises:
        SetupError: nothing says which server.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 150.0, concurrency: int = 8
    ) -> None:
        self._session, self._concurrency = Session(url, token), concurrency
        self._http = httpx2.Client(**options(self._session, timeout))

    @property
    def url(self) -> str:
        """The server's address."""
        return self._session.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    ask = _blocking(Session.ask)
    pages = _blocking(Session.pages)
    push = _blocking(_udfs.push)
    push_all = _blocking(_udfs.push_all)
    udfs = _blocking(_udfs.udfs)
    udf = _blocking(_udfs.udf)
    delete_udf = _blocking(_udfs.delete_udf)
    clear = _blocking(_udfs.clear)
    cache = _blocking(_udfs.cache)
    logs = _blocking(_udfs.logs)
    usage = _blocking(_udfs.usage)
    tokens = _blocking(_tokens.tokens)
    token = _blocking(_tokens.token)
    create_token = _blocking(_tokens.create_token)
    enable_token = _blocking(_tokens.enable_token)
    disable_token = _blocking(_tokens.disable_token)
    cap_token = _blocking(_tokens.cap_token)
    delete_token = _blocking(_tokens.delete_token)
    run = _blocking(_runs.run)
    tile = _blocking(_runs.tile)
    file = _blocking(_runs.file)
    tile_url = _blocking(_runs.tile_url)
    file_url = _blocking(_runs.file_url)
    map_url = _blocking(_runs.map_url)
    tilejson = _blocking(_runs.tilejson)

    def tiles(
        self, what: What, bounds: Box, zooms: int | Iterable[int], /, format: str | None = None, **parameters: Any
    ) -> Iterator[tuple[Tile, Answer]]:
        """The tiles that an area takes, each with its answer, in the order in which they come; errors as of `run`.

        A bar shows how far it is, on a terminal and in a notebook.

        Args:
            what: a UDF's name, a shared token, or a record of either.
            bounds: west, south, east, north in degrees; west above east reaches across the 180th meridian.
            zooms: one zoom, or several, as `range(6)`.
            format: as `png`; None takes what maps get.
            parameters: the UDF's own, and those of the query.
        """
        yield from self._each(what, bounds, zooms, format, parameters, raised)

    def warm(
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
        count = sum(1 for _ in self._each(what, bounds, zooms, format, parameters, outcomes.kept))
        outcomes.finish()
        return count

    def export(
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
            for tile, answer in self._each(what, bounds, zooms, format, parameters, outcomes.answer):
                archive.add(tile, answer)
            outcomes.finish()
            archive.write(self.tilejson(what, **parameters), bounds)  # by now a run has told of its fields
            return len(archive)

    def _each(
        self,
        what: What,
        bounds: Box,
        zooms: int | Iterable[int],
        format: str | None,
        parameters: dict[str, Any],
        take: Callable[[Tile, Came], Answer | None],
    ) -> Iterator[tuple[Tile, Answer]]:
        """What is taken of the tiles that an area takes, each with its answer."""
        steps, total = self._drive(_runs.tiles(self._session, what, bounds, zooms, format, parameters))
        with counting("tiles", total) as done, closing(self._at_once(steps)) as row:
            for tile, came in row:
                done()
                if (answer := take(tile, came)) is not None:
                    yield tile, answer

    def _at_once(self, steps: Iterator[Steps[T]]) -> Generator[T, None, None]:
        waiting: set[Future[T]] = set()
        with ThreadPoolExecutor(self._concurrency) as pool:
            for each in steps:
                waiting.add(pool.submit(self._drive, each))
                if len(waiting) >= self._concurrency:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in as_completed(waiting))

    def _drive(self, steps: Steps[T]) -> T:
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, float):
                    time.sleep(asked)
                    asked = next(steps)
                    continue
                try:
                    answer = self._http.send(asked)
                except httpx2.RequestError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
