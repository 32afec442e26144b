"""Mosaics: a window of one is that of the array, in one piece where that is near a square."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tileserver.encode import mosaic


@st.composite
def windows(draw):
    """An array, and rows and columns of it."""
    count, *lengths = draw(st.tuples(st.integers(1, 3), st.integers(1, 700), st.integers(1, 700)))
    array = np.arange(count * lengths[0] * lengths[1], dtype=">i4").reshape(count, *lengths)
    starts = [draw(st.integers(0, length - 1)) for length in lengths]
    pairs = zip(starts, lengths, strict=True)
    return array, *(slice(start, draw(st.integers(start + 1, length))) for start, length in pairs)


@given(windows(), st.sampled_from([None, "f4", "f8", ">i4"]))
@settings(deadline=None, max_examples=300)
def test_a_window_is_that_of_the_array(window, dtype):
    """Wherever it begins and ends, of any type; lines of all bands one after the other."""
    array, rows, columns = window
    read = mosaic.of(array).read(rows, columns, dtype)
    expected = array[:, rows, columns].swapaxes(0, 1).astype(dtype or array.dtype)
    assert read.dtype == expected.dtype
    assert np.array_equal(read, expected)


@pytest.mark.parametrize(("start", "stop"), [(0, 256), (254, 384), (510, 640), (768, 1024), (894, 1024)])
def test_what_is_needed_for_a_tile_lies_in_one_piece(start, stop):
    """Tiles of 256 pixels, and their quarters with two pixels around them, of 4,096 as of 1,024."""
    array = np.zeros((3, 1024, 1024), "uint8")
    assert not mosaic.of(array).read(slice(start, stop), slice(start, stop)).flags.owndata
    assert mosaic.of(array).read(slice(200, 300), slice(start, stop)).flags.owndata


def test_a_mosaic_takes_little_more_than_the_array():
    """As much as what is around the squares, and as squares of equal sides have more than it has."""
    for length in (1, 255, 257, 300, 1024, 1025):
        count = -(-length // 256)
        assert mosaic.of(np.zeros((2, length, 256), "uint8")).squares.nbytes <= 2 * (length + 5 * count) * 260


@pytest.mark.parametrize(("value", "finite"), [(1.0, True), (np.nan, False), (-np.inf, False)])
def test_what_is_finite_is_known(value, finite):
    """Whole numbers always are."""
    array = np.zeros((1, 300, 300))
    array[0, 299, 299] = value
    assert mosaic.of(array).finite == finite
    assert mosaic.of(np.zeros((1, 3, 3), "uint8")).finite
