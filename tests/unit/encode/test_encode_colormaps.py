"""Colour maps: rio-tiler's and matplotlib's by name, colours with and without values, colour tables of files."""

import sys

import matplotlib
import numpy as np
import orjson
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from realdata import DATA, needs_data
from rio_tiler.colormap import cmap

from tileserver.encode import colormaps
from tileserver.encode.colormaps import Categories
from tileserver.errors import InvalidParameterError

COLOUR = st.tuples(*[st.integers(0, 255)] * 4)


def test_every_name_of_rio_tiler():
    """Has rio-tiler's colours, whatever the case."""
    for name in cmap.list():
        expected = [cmap.get(name)[step] for step in range(256)]
        assert colormaps.read(name).colours.tolist() == [list(colour) for colour in expected]
        assert colormaps.read(name.upper()).colours.tolist() == colormaps.read(name).colours.tolist()


def test_every_name_of_matplotlib():
    """Is known; those that rio-tiler lacks have matplotlib's colours."""
    known = set(cmap.list())
    for name in matplotlib.colormaps:
        found = colormaps.read(name).colours
        assert found.shape == (256, 4)
        if name.lower() not in known:
            assert np.array_equal(found, matplotlib.colormaps[name](np.linspace(0, 1, 256), bytes=True))


def test_without_matplotlib_its_own_names_are_unknown(monkeypatch):
    """And the sentence says why."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    colormaps.read.cache_clear()
    assert len(colormaps.read("viridis").colours) == 256
    with pytest.raises(InvalidParameterError, match="colormap=managua is not known; matplotlib is not installed here"):
        colormaps.read("managua")


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), COLOUR), min_size=2, max_size=40, unique_by=lambda stop: stop[0]))
def test_each_stop_has_its_colour(stops):
    """Exactly, at its place among the steps between the first and the last."""
    stops = sorted(stops)
    found = colormaps.read(orjson.dumps([[value, list(colour)] for value, colour in stops]).decode())
    assert found.stops.tolist() == [value for value, _ in stops]
    every = (len(found.colours) - 1) // (len(stops) - 1)
    assert found.colours[::every].tolist() == [list(colour) for _, colour in stops]


def test_between_colours_are_their_mixtures():
    """In even steps."""
    found = colormaps.read('["#000000", "#ff6400"]')
    assert found.stops is None and len(found.colours) == 256
    assert found.colours[:, 0].tolist() == list(range(256))
    assert found.colours[51].tolist() == [51, 20, 0, 255]


@pytest.mark.parametrize(
    ("text", "rgba"),
    [("#ff8000", (255, 128, 0, 255)), ("ff800040", (255, 128, 0, 64)), ("#f80", (255, 136, 0, 255)),
     ("orange", (255, 165, 0, 255)), ([1, 2, 3], (1, 2, 3, 255)), ([1, 2, 3, 4], (1, 2, 3, 4))],
)  # fmt: skip
def test_forms_of_a_colour(text, rgba):
    """Hexadecimal with or without its sign, names, and numbers as colour tables have them."""
    found = colormaps.read(orjson.dumps({"7": text}).decode())
    assert isinstance(found, Categories)
    assert found.values.tolist() == [7] and found.colours.tolist() == [list(rgba), [0, 0, 0, 0]]


@needs_data
def test_the_colour_table_of_a_file():
    """What rasterio reads from a file can be given as it is."""
    with rasterio.open(DATA / "cog_cmap.tif") as file:
        table = file.colormap(1)
    found = colormaps.read(orjson.dumps(table, option=orjson.OPT_NON_STR_KEYS).decode())
    assert dict(zip(found.values, map(tuple, found.colours.tolist()), strict=False)) == table


@pytest.mark.parametrize(
    "text",
    ["{1", "[", "[]", '["red"]', '["red", 5]', '["red", "nonsense"]', '[[0, "red"]]', '[[1, "red"], [0, "blue"]]',
     '[[1, "red"], [1, "blue"]]', '[["x", "red"], [1, "blue"]]', '[[0, "red"], [1e999, "blue"]]', '{"a": "red"}',
     '{"1": [1, 2]}', '{"1": [1, 2, 300]}', '{"1": 5}', "[1, 2]", '["a"' + ', "red"' * 256 + "]"],
)  # fmt: skip
def test_what_is_no_colour_map(text):
    """Is named."""
    with pytest.raises(InvalidParameterError, match="colormap is neither a name nor") as caught:
        colormaps.read(text)
    assert caught.value.parameter == "colormap"


def test_samples():
    """Sixteen colours from the first to the last."""
    found = colormaps.samples("viridis")
    assert (len(found), found[0], found[-1]) == (16, "#440154ff", "#fde724ff")
