"""Query text to canonical values, by annotation."""

import ast
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.annotations import canonical, read


def convert(annotation: str, *texts: str) -> Any:
    return canonical(read(ast.parse(annotation, mode="eval").body), list(texts))


@pytest.mark.parametrize(
    ("annotation", "texts", "value"),
    [
        ("int", ["-7"], -7),
        ("float", ["1e3"], 1000.0),
        ("float", ["-0"], 0.0),
        ("bool", ["True"], True),
        ("bool", ["0"], False),
        ("str", ["x y"], "x y"),
        ("'int'", ["4"], 4),
        ("int | None", [""], None),
        ("Optional[int]", ["null"], None),
        ("typing.Optional[int]", ["5"], 5),
        ("Union[None, float]", ["2"], 2.0),
        ("Annotated[int, 'units']", ["2"], 2),
        ("list[int]", ["1,2,3"], [1, 2, 3]),
        ("list[int]", ["[1, 2]"], [1, 2]),
        ("list[str]", ["a", "b"], ["a", "b"]),
        ("List[float]", ["1"], [1.0]),
        ("list", [""], []),
        ("tuple[int, str]", ["1,a"], [1, "a"]),
        ("tuple[float, ...]", ["1,2"], [1.0, 2.0]),
        ("dict", ['{"b": 1, "a": [2]}'], {"a": [2], "b": 1}),
        ("dict[str, int]", ['{"a": 1}'], {"a": 1}),
        ("Literal['a', 2]", ["2"], 2),
        ("datetime", ["2024-03-20T12:00:00Z"], "2024-03-20T12:00:00+00:00"),
        ("datetime", ["2024-03-20T12:00:00 00:00"], "2024-03-20T12:00:00+00:00"),
        ("datetime.datetime", ["0"], "1970-01-01T00:00:00+00:00"),
        ("date", ["2024-03-20"], "2024-03-20"),
        ("GeoDataFrame", ["{}"], "{}"),
        ("int", ["1", "2"], 2),
    ],
)
def test_values_that_convert(annotation: str, texts: list[str], value: Any) -> None:
    """Each spelling gives its canonical value; of a repeated name the last counts unless it is a list."""
    assert convert(annotation, *texts) == value


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "1.0"),
        ("int", "1e3"),
        ("int", "\u0663"),
        ("int", "1_0"),
        ("int", ""),
        ("int", "9" * 5000),
        ("float", "nan"),
        ("float", "inf"),
        ("float", "1_0"),
        ("float", "\u0663"),
        ("bool", "maybe"),
        ("Literal['a', 'b']", "c"),
        ("datetime", "yesterday"),
        ("datetime", "999999999999"),
        ("date", "2024-02-30"),
        ("list[int]", "1,x"),
        ("list[int]", '[{"a": 1}]'),
        ("tuple[int, int]", "1"),
        ("dict", "[1]"),
        ("dict", "{"),
    ],
)
def test_values_that_do_not_convert(annotation: str, text: str) -> None:
    """The message says what is expected and never repeats the value."""
    with pytest.raises(ValueError, match=r"^(is|needs|holds)") as caught:
        convert(annotation, text)
    assert len(text) < 3 or text not in str(caught.value)


@pytest.mark.parametrize("number", [-(2**63), 2**63, 2**64 - 1])
def test_whole_numbers_of_64_bits(number: int) -> None:
    """As many as a message to a worker carries."""
    assert convert("int", str(number)) == number


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1), "9" * 40, "9" * 3000, "9" * 5000, "1" * 60_000])
def test_larger_numbers_do_not_convert(text: str) -> None:
    """However many digits, without converting them all."""
    for annotation in ("int", "list[int]", "int | None"):
        with pytest.raises(ValueError, match="whole number"):
            convert(annotation, text)


@pytest.mark.parametrize("text", ["[" * 900 + "]" * 900, '{"a":' * 60 + "1" + "}" * 60, "[" * 60_000])
def test_json_is_not_read_for_ever(text: str) -> None:
    """Deeper than any value that somebody means: what comes behind would have to follow."""
    for annotation in ("list", "dict"):
        with pytest.raises(ValueError, match=r"nested|JSON"):
            convert(annotation, text)


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": NaN}', '{"a": Infinity}', r'{"a": "\ud800"}'])
def test_json_holds_what_can_be_a_key(text: str) -> None:
    """No infinite number, which JSON would write as null, and no half of a sign."""
    with pytest.raises(ValueError, match="JSON"):
        convert("dict", text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(number: float) -> None:
    """What Python prints comes back equal."""
    assert math.isclose(convert("float", repr(number)), number, rel_tol=0, abs_tol=0)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=10))
def test_plain_json_passes_through_a_dict(value: Any) -> None:
    """A dict without element types keeps what JSON says."""
    assert convert("dict", json.dumps({"k": value})) == {"k": value}
