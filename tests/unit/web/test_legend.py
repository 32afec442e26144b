"""Legends: what each form of a colour map says of itself, without the libraries that draw it."""

from typing import Any

import pytest

from tileserver import query as queries
from tileserver.errors import InvalidParameterError
from tileserver.signature import parse
from tileserver.web.legend import legend


def found(query: str = "", options: str = "", **facts: Any) -> Any:
    udf = parse(f"@udf({options})\ndef f(tile): ...", file="f.py")
    return legend(udf, facts, queries.parse(query))


def test_without_a_colour_map_there_is_none() -> None:
    """Whatever the range."""
    assert found("rescale=0,9") is None


def test_a_name_has_the_colours_that_a_probe_saw() -> None:
    """Of the UDF's own; of one in the query the name must do."""
    colours = ["#440154ff", "#fde725ff"]
    own = found(options="colormap='viridis', rescale=(0, 9)", colours=colours)
    assert own == {"name": "viridis", "range": [0, 9], "colours": colours}
    other = found("colormap=magma&rescale=1,2", options="colormap='viridis'", colours=colours)
    assert other == {"name": "magma", "range": [1, 2]}


@pytest.mark.parametrize(
    ("dtype", "span"),
    [("uint8", [0, 255]), ("int16", [-32768, 32767]), ("float32", [0, 1]), ("bool", [0, 1]), ("", [0, 1])],
)
def test_without_a_range_it_is_the_types(dtype: str, span: list[int]) -> None:
    """As the encoder has it."""
    assert found("colormap=magma", dtype=dtype)["range"] == span


def test_stops_colours_and_categories() -> None:
    """Say themselves what they stand for; numbers are written as CSS writes them."""
    stops = found('colormap=[[0,"red"],[9,[0,0,255,128]]]')
    assert stops == {"stops": [[0, "red"], [9, "#0000ff80"]]}
    assert found('colormap=["red","ff0000"]&rescale=1,2') == {"range": [1, 2], "colours": ["red", "#ff0000"]}
    assert found('colormap={"10":"red","9":[1,2,3]}') == {"categories": [[9, "#010203"], [10, "red"]]}


@pytest.mark.parametrize("text", ["{", "[" * 5000, "[1]", '[["x",2]]', '{"a":"red"}', '{"1":[999]}', "[null]"])
def test_what_is_no_colour_map_has_no_legend(text: str) -> None:
    """The tiles say what is wrong with it."""
    assert found(f"colormap={text}") is None


def test_a_range_that_is_none_is_refused() -> None:
    """As it is for a tile."""
    with pytest.raises(InvalidParameterError):
        found("colormap=magma&rescale=2,1")
