"""When a row of tiles goes on, and what it says in the end."""

import pytest

from tileserver.client import Answer, TilesFailedError
from tileserver.client.outcomes import Outcomes
from tileserver.errors import ForbiddenError, SetupError, TileserverError, UdfRaisedError, UdfSuspendedError
from tileserver.tiles import Tile

CAME = Answer(b"", "image/png")
GONE = SetupError("nobody answers")
TILES = [Tile(10, x, 7) for x in range(200)]


def raised(line: int = 3) -> UdfRaisedError:
    return UdfRaisedError("ValueError: bad\ntile", exception="ValueError", line=line)


@pytest.mark.parametrize("error", [GONE, UdfSuspendedError()])
def test_a_server_that_goes_away_ends_the_row(error: TileserverError) -> None:
    """After fifty, though there were tiles before; fewer do not, with one that came between."""
    outcomes = Outcomes()
    for tile in TILES[:49]:
        assert outcomes.answer(tile, error) is None
    assert outcomes.answer(TILES[49], CAME) is CAME
    for tile in TILES[50:99]:
        outcomes.answer(tile, error)
    with pytest.raises(TilesFailedError, match=rf"^50 tiles in a row .*; 10/99/7: {error}$"):
        outcomes.answer(TILES[99], error)


def test_a_function_may_fail_of_a_region() -> None:
    """Once a tile came; and where failures differ."""
    outcomes = Outcomes()
    outcomes.answer(TILES[0], CAME)
    for tile in TILES[1:]:
        outcomes.answer(tile, raised())
    with pytest.raises(
        TilesFailedError, match=r"^199 of 200 tiles failed; 10/1/7, 10/2/7, 10/3/7 \.\.\.: ValueError: bad t"
    ):
        outcomes.finish()
    others = Outcomes()
    for tile in TILES:
        others.answer(tile, raised(tile.x + 1))
    with pytest.raises(TilesFailedError) as told:
        others.finish()
    assert str(told.value).count("ValueError: bad tile (line ") == 3
    assert len(told.value.failures) == 200


def test_who_may_not_is_told_at_once() -> None:
    """Unless a tile came: then it is one that failed."""
    with pytest.raises(ForbiddenError):
        Outcomes().answer(TILES[0], ForbiddenError())
    outcomes = Outcomes()
    outcomes.answer(TILES[0], CAME)
    assert outcomes.answer(TILES[1], ForbiddenError()) is None


def test_who_is_told_of_each_hears_nothing_in_the_end() -> None:
    """But that it is in vain."""
    heard: list[Tile] = []
    outcomes = Outcomes(lambda tile, _: heard.append(tile))
    for tile in TILES[:49]:
        outcomes.answer(tile, GONE)
    outcomes.finish()
    assert heard == TILES[:49]
    with pytest.raises(TilesFailedError, match="in a row"):
        outcomes.answer(TILES[49], GONE)
