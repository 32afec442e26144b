"""Results from one function to another; the other forms are seen with a server, in `test_calls`."""

import numpy as np
import pytest

from tileserver.encode import exchange
from tileserver.errors import BadResultError


@pytest.mark.parametrize("array", [np.arange(6, dtype="uint8").reshape(2, 3), np.ma.masked_equal([[1, 2]], 2)])
def test_an_array_with_its_bounds(array: np.ndarray) -> None:
    """Is again a pair, of the array and a list."""
    drawn = exchange.draw((array, (1, 2, 3, 4.5)))
    found, bounds = exchange.read(drawn.body, drawn.media_type)
    assert found.dtype == array.dtype
    assert found.tolist() == np.ma.filled(array).tolist()
    assert bounds == [1, 2, 3, 4.5]


def test_a_pair_of_other_things() -> None:
    """Is plain data, or cannot be handed on."""
    drawn = exchange.draw((1, (2, 3)))
    assert exchange.read(drawn.body, drawn.media_type) == [1, [2, 3]]
    with pytest.raises(BadResultError) as caught:
        exchange.draw((np.zeros(3), np.zeros(3)))
    assert "ndarray" in caught.value.message
