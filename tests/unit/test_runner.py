"""What a run left is told without the secrets that it knew."""

import pytest

from tileserver.runner import masked


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("401 for https://example.org?key=abcdefgh&x", "401 for https://example.org?key=<KEY>&x"),
        ("abcdefghijkl, abcdefgh", "<LONGER>, <KEY>"),
        ("short is short", "short is short"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_values_give_way_to_their_names(text: str, told: str) -> None:
    """The longest first; those that may be part of any text stay."""
    assert masked(text, {"KEY": "abcdefgh", "LONGER": "abcdefghijkl", "SHORT": "short", "EMPTY": ""}) == told
