"""Arrays as npy: NumPy reads them."""

import io

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from PIL import Image
from rio_tiler.models import ImageData

from tileserver.encode import encode
from tileserver.errors import BadResultError, FormatNotPossibleError
from tileserver.jobs import Output
from tileserver.tiles import Tile

BOUNDS = (8.0, 46.0, 10.0, 47.0)


def made(result, tile=None, formats=("npy",)):
    """The answer of one raster."""
    return encode(result, Output(formats=formats), tile, limit=10_000_000)


def read(result, tile=None):
    """The array that NumPy reads, which must not need pickles."""
    answer = made(result, tile)
    assert (answer.format, answer.media_type, answer.coding) == ("npy", "application/x-numpy-data", "")
    return np.load(io.BytesIO(answer.body), allow_pickle=False)


@given(scalar_dtypes().flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=5, min_side=0))))
def test_type_shape_and_values_come_back(array):
    """Of any number of axes, whatever is in it, of either byte order."""
    found = read(array)
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_records_and_orders_come_back(order):
    """A structured type is one like any other."""
    array = np.zeros((3, 4), [("a", "<i2"), ("b", "S3")], order=order)
    assert read(array).dtype == array.dtype and np.array_equal(read(array), array)


def test_a_tile_is_the_array_as_it_was_returned():
    """Nothing is stretched."""
    assert read(np.arange(6).reshape(2, 3), Tile(4, 8, 5)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_masked_floats_are_nan(dtype):
    """Of the same type."""
    found = read(np.ma.MaskedArray(np.array([[1, 2]], dtype), [[False, True]]))
    assert found.dtype == dtype and found[0, 0] == 1 and np.isnan(found[0, 1])


def test_masked_integers_have_no_npy():
    """Unless nothing is masked; where a list names tiff too, that has the mask."""
    masked = np.ma.MaskedArray([[1, 2]], [[False, True]])
    with pytest.raises(FormatNotPossibleError, match="masked values of type int64 cannot be npy; ask for tiff"):
        made(masked)
    assert made(masked, formats=("npy", "tiff")).format == "tiff"
    assert read(np.ma.MaskedArray([[1, 2]])).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "result",
    [
        (np.arange(6).reshape(2, 3), BOUNDS),
        ImageData(np.arange(6).reshape(1, 2, 3), bounds=BOUNDS, crs="EPSG:4326"),
        xarray.DataArray(np.arange(6).reshape(2, 3), dims=("y", "x")),
        xarray.Dataset({"a": (("y", "x"), np.arange(6).reshape(2, 3))}),
    ],
)
def test_what_has_a_place_or_names_gives_its_values(result):
    """If npy is asked for alone; else tiff keeps all of it."""
    assert read(result).squeeze().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert made(result, formats=("npy", "tiff", "parquet", "json")).format == "tiff"
    assert made(result, formats=("npy", "png")).format == "npy"


def test_a_picture_is_its_pixels():
    """Bands first, as arrays of rasters are."""
    assert read(Image.new("RGB", (5, 3), "red")).shape == (4, 3, 5)


@pytest.mark.parametrize("array", [np.array([{}, []], object), np.zeros(2, [("a", object)])])
def test_objects_are_never_pickled(array):
    """The author is told what to return instead."""
    with pytest.raises(BadResultError) as caught:
        made(array)
    assert "holds Python objects; return numbers, or a list" in caught.value.message


@given(st.permutations(["npy", "png", "webp"]))
def test_an_array_is_the_first_that_is_asked_for(names):
    """Each is natural for it."""
    assert made(np.zeros((4, 4), np.uint8), formats=tuple(names)).format == names[0]
