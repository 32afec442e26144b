"""Functions that call one with blocks: they get what one without would give them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server import UDFS, Running, serving

from tileserver.tiles import Tile

BLOCK = Tile(4, 8, 5)
COUNTING = """
from tileserver import run, udf

@udf
def counting(tile, log: str):
    return {"n": len(run("blocked", tile=tile, log=log)), "z": tile.z}
"""
GIVING = """
import numpy as np
from tileserver import udf

@udf(maxzoom=24, kind="raster"{options})
def {name}(tile, bounds, what: str):
    west, south, east, north = bounds if "pair" in what else tile.bounds_3857
    steps = (np.arange(tile.size) + 0.5) / tile.size
    array = np.stack(np.meshgrid(west + steps * (east - west), north - steps * (north - south)))
    if "whole" in what:
        array = (array * 100).round().astype("int16")
    if "masked" in what:
        array = np.ma.masked_array(array, array % 200 < 80)
    if "nan" in what:
        array[:, ::2] = np.nan
    if "last" in what:
        array = np.moveaxis(array, 0, 2)
    return (array, bounds) if "pair" in what else array
"""
COMPARING = """
import numpy as np
from tileserver import run, udf

@udf
def comparing(tile, what: str):
    one, other = (run(name, tile=tile, what=what) for name in ("alone", "cut"))
    told = {"kinds": [type(one).__name__, type(other).__name__]}
    if isinstance(one, tuple):
        told["bounds"] = [one[1], other[1]]
        one, other = one[0], other[0]
    told["arrays"] = [[type(each).__name__, str(each.dtype), list(each.shape)] for each in (one, other)]
    one, other = (np.ma.filled(each.astype(float), np.nan) for each in (one, other))
    told["missing"] = [float(np.isnan(each).mean()) for each in (one, other)]
    told["apart"] = float(np.nanmax(np.abs(one - other)))
    return told
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same function with blocks and without, and who calls them."""
    folder = tmp_path_factory.mktemp("called")
    (folder / "alone.py").write_text(GIVING.format(name="alone", options=""))
    (folder / "cut.py").write_text(GIVING.format(name="cut", options=", block_zoom=4"))
    (folder / "comparing.py").write_text(COMPARING)
    (folder / "counting.py").write_text(COUNTING)
    (folder / "blocked.py").write_text((UDFS / "blocked.py").read_text())
    with serving(folder, data=folder / "data") as server:
        yield server


def get(server: Running, name: str, tile: Tile, **parameters: object) -> Any:
    """What a function gives, as JSON."""
    url = f"{server.url}/tiles/{server.token(name)}/{tile.z}/{tile.x}/{tile.y}.json"
    answer = httpx.get(url, params={name: str(value) for name, value in parameters.items()}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def below(down: int, column: int, row: int) -> Tile:
    """A tile of the block."""
    return Tile(BLOCK.z + down, (BLOCK.x << down) + column, (BLOCK.y << down) + row)


def test_features_are_those_that_are_cut(running: Running, tmp_path: Path) -> None:
    """As a frame, and by one run."""
    log = tmp_path / "log"
    tiles = [Tile(8, (33 << 2) + at, 22 << 2) for at in range(3)]
    found = [get(running, "counting", tile, log=log) for tile in tiles]
    assert {each["z"] for each in found} == {8}
    assert all(90 < each["n"] < 150 for each in found)
    assert len(log.read_text().split()) == 1


@pytest.mark.parametrize("tile", [BLOCK, below(1, 1, 0), below(3, 2, 7)], ids=lambda tile: f"zoom {tile.z}")
@pytest.mark.parametrize(
    "what", ["pair", "plain", "whole pair", "whole masked pair", "nan pair", "nan plain", "last pair"]
)
def test_arrays_are_of_the_kind_that_they_are_without_blocks(running: Running, what: str, tile: Tile) -> None:
    """With their bounds, where they have some; each pixel within one of the block's of where it is without."""
    told = get(running, "comparing", tile, what=what)
    for one, other in (told["kinds"], told["arrays"]):
        assert one == other
    assert told["kinds"][0] == ("tuple" if "pair" in what else "masked_array" if "masked" in what else "ndarray")
    if "pair" in what:
        assert told["bounds"][1] == pytest.approx(list(tile.bounds))
        assert told["bounds"][0] == pytest.approx(told["bounds"][1])
    assert told["missing"][1] == pytest.approx(told["missing"][0], abs=0.02)
    west, _, east, _ = tile.bounds if "pair" in what else tile.bounds_3857
    assert told["apart"] <= (east - west) / 256 * (100 if "whole" in what else 1) + ("whole" in what)
