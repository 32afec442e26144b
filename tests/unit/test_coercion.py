"""Query text by the rules of `@fused.udf` sources."""

import ast
from typing import Any

import pytest

from tileserver.annotations import read
from tileserver.coercion import Number, coerced


def convert(annotation: str, *texts: str) -> Any:
    return coerced(read(ast.parse(annotation, mode="eval").body), list(texts))


@pytest.mark.parametrize(
    ("annotation", "texts", "value"),
    [
        ("Any", ["5"], "5"),
        ("int", ["-7"], -7),
        ("float", ["1e3"], 1000.0),
        ("bool", ["false"], False),
        ("bool", ["FALSE"], False),
        ("bool", ["0"], True),
        ("bool", ["no"], True),
        ("bool | None", [""], None),
        ("str", ["x"], "x"),
        ("list", ['[1, "a"]'], [1, "a"]),
        ("List[int]", ['[1, "a"]'], [1, "a"]),
        ("list[int]", ["1", "2"], [1, 2]),
        ("list[int]", ["1,2"], [1, 2]),
        ("Iterable", ["[1]"], [1]),
        ("tuple", ["[1, 2]"], [1, 2]),
        ("dict", ['{"a": [1]}'], {"a": [1]}),
        ("Dict[str, int]", ['{"a": "b"}'], {"a": "b"}),
        ("datetime", ["0"], "1970-01-01T00:00:00+00:00"),
        ("datetime.date", ["86400.5"], "1970-01-02"),
        ("date", ["2024-03-20"], "2024-03-20"),
        ("time", ["3600"], "01:00:00+00:00"),
        ("Optional[int]", ["null"], None),
        ("gpd.GeoDataFrame", ["[0, 0, 1, 1]"], "[0, 0, 1, 1]"),
    ],
)
def test_values_that_convert(annotation: str, texts: list[str], value: Any) -> None:
    """As the SDK has it; elements of JSON lists stay what they are."""
    assert convert(annotation, *texts) == value
    assert type(convert(annotation, *texts)) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "1.5"),
        ("int", "0x1"),
        ("float", "abc"),
        ("bool", ""),
        ("dict", "[1]x"),
        ("list", "[1"),
        ("date", "9" * 12),
    ],
)
def test_values_that_do_not(annotation: str, text: str) -> None:
    """One sentence, without the value."""
    with pytest.raises(ValueError, match=r"^(is|needs) ") as caught:
        convert(annotation, text)
    assert text not in str(caught.value) or not text


def test_a_number_stays_one_where_nothing_is_said() -> None:
    """It came as one, in JSON; a type that is said goes before."""
    assert convert("Any", Number("5")) == 5
    assert convert("Any", Number("0.5")) == 0.5
    assert convert("str", Number("5")) == "5"
    assert convert("float", Number("5")) == 5.0
