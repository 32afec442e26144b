"""What came of an area's tiles: one that fails does not end the row; many that fail alike do."""

from collections.abc import Callable
from typing import Final

from tileserver.client.decoding import Answer
from tileserver.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    TileserverError,
    UdfError,
    UdfSuspendedError,
    UnauthorisedError,
)
from tileserver.tiles import Tile

Came = Answer | TileserverError
"""What a tile came to."""
OnFailure = Callable[[Tile, TileserverError], None]

_ALIKE: Final = 50
"""Failures in a row that say that it is in vain to go on."""
_TOLD: Final = 3
"""Of errors, and of tiles of one."""
_KEPT: Final = 1000
_NOT_KEPT: Final = (
    "nothing of it is kept: cache_max_age is 0, the token is one without cache, or a function that it called failed"
)
_OF_ALL: Final = (InvalidError, UnauthorisedError, ForbiddenError)
"""What is no tile's own fault."""


class TilesFailedError(TileserverError):
    """Tiles of an area failed; the others were made, unless the text says that they were not asked for."""

    def __init__(self, head: str, failures: list[tuple[Tile, TileserverError]]) -> None:
        super().__init__("; ".join((head, *_listed(failures))))
        self.failures = failures
        """The first thousand, each a tile and why."""


def told(error: TileserverError, *tiles: Tile) -> str:
    """Which tiles failed, and why, in the function's own words where they were told; one line."""
    words = (isinstance(error, UdfError) and error.words) or str(error)
    places = ", ".join(f"{each.z}/{each.x}/{each.y}" for each in tiles[:_TOLD])
    return f"{places}{' ...' if len(tiles) > _TOLD else ''}: {' '.join(words.splitlines())}"


def _listed(failures: list[tuple[Tile, TileserverError]]) -> list[str]:
    """The first, each with all tiles that it is of."""
    alike: dict[str, tuple[TileserverError, list[Tile]]] = {}
    for tile, error in failures:
        alike.setdefault(told(error), (error, []))[1].append(tile)
    return [told(error, *tiles) for error, tiles in list(alike.values())[:_TOLD]]


def raised(_: Tile, came: Came) -> Answer:
    """The answer; raises what it failed of."""
    if isinstance(came, TileserverError):
        raise came
    return came


class Outcomes:
    """Of a row of tiles: lets through what came, and counts what failed."""

    def __init__(self, on_failure: OnFailure | None = None) -> None:
        """Args: on_failure: told of each tile that failed; then none is an error in the end."""
        self._on_failure = on_failure
        self._failures: list[tuple[Tile, TileserverError]] = []
        self._asked = self._failed = self._row = 0
        self._like: tuple[object, ...] = ()

    def answer(self, tile: Tile, came: Came) -> Answer | None:
        """The answer, None where the tile failed.

        Raises:
            TilesFailedError: so many failed alike that the others need not be asked for.
            TileserverError: it says that none can come.
        """
        self._asked += 1
        if isinstance(came, TileserverError):
            self._count(tile, came)
            return None
        self._row = 0
        return came

    def kept(self, tile: Tile, came: Came) -> Answer | None:
        """The same, where an answer that the server does not keep is a failure too."""
        if isinstance(came, Answer) and not came.kept:
            came = ConflictError(_NOT_KEPT)
        return self.answer(tile, came)

    def finish(self) -> None:
        """Raises TilesFailedError where tiles failed and nobody was told."""
        if self._failed and self._on_failure is None:
            raise TilesFailedError(f"{self._failed:,} of {self._asked:,} tiles failed", self._failures)

    def _count(self, tile: Tile, error: TileserverError) -> None:
        nothing_came = self._failed == self._asked - 1
        if nothing_came and isinstance(error, _OF_ALL):
            raise error
        self._failed += 1
        if len(self._failures) < _KEPT:
            self._failures.append((tile, error))
        if self._in_vain(error, nothing_came=nothing_came):
            head = f"{self._row} tiles in a row failed alike, so no more were asked for"
            raise TilesFailedError(head, [(tile, error)])
        if self._on_failure is not None:
            self._on_failure(tile, error)

    def _in_vain(self, error: TileserverError, *, nothing_came: bool) -> bool:
        """Whether enough failed alike; a function that gave tiles may fail of a whole region."""
        like = type(error), getattr(error, "exception", ""), getattr(error, "line", None)
        self._row = self._row + 1 if like == self._like else 1
        self._like = like
        own = isinstance(error, UdfError) and not isinstance(error, UdfSuspendedError)
        return self._row >= _ALIKE and (nothing_came or not own)
