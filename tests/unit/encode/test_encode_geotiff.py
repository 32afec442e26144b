"""Rasters as GeoTIFF: rasterio and rioxarray are the reference."""

import json
import warnings

import numpy as np
import pytest
import rioxarray
import xarray
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rio_tiler.models import ImageData

from tileserver.encode import encode
from tileserver.errors import BadResultError
from tileserver.jobs import Output
from tileserver.tiles import Tile

TILE = Tile(4, 8, 5)
BOUNDS = (8.0, 46.0, 10.0, 47.0)
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
STORED = {name: name for name in [*INTEGERS, "float32", "float64"]} | {
    "bool": "uint8", "float16": "float32", "longdouble": "float64", ">i2": "int16", ">f8": "float64"
}  # fmt: skip


def read(result, tile=None, look=lambda file: file.read(masked=True)):
    """What rasterio finds in the file of a result."""
    made = encode(result, Output(formats=("tiff",)), tile, limit=10_000_000)
    assert (made.format, made.media_type, made.coding) == ("tiff", "image/tiff", "")
    with MemoryFile(made.body) as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as file:
            return look(file)


def tags(result):
    """What the hosted API's SDK is told of a result."""
    return read(result, look=lambda file: file.tags(ns="fused"))


def opened(result, tmp_path):
    """A result as the hosted API's SDK opens it."""
    path = tmp_path / "result.tiff"
    path.write_bytes(encode(result, Output(formats=("tiff",)), None, limit=10_000_000).body)
    return rioxarray.open_rasterio(path, masked=True).load()


def grid(names=("y", "x"), dtype="float32"):
    """A DataArray of 3 x 4 pixels with an origin at 7, 50 and pixels of one."""
    y, x = np.arange(49.5, 46.5, -1), np.arange(7.5, 11.5)
    return xarray.DataArray(np.arange(12, dtype=dtype).reshape(3, 4), dims=names, coords={names[0]: y, names[1]: x})


@pytest.mark.parametrize(("dtype", "stored"), STORED.items())
@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7), (4, 5, 7), (6, 5, 7)])
def test_every_type_and_every_value_is_kept(dtype, stored, shape):
    """The extremes too; what TIFF has no type for is held by the next that has."""
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if array.dtype.kind in "iu":
        array.flat[:2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    found = read(array)
    assert found.dtype == stored and found.shape == (1,) * (3 - len(shape)) + shape
    assert np.array_equal(found.data.reshape(shape), array) and not found.mask.any()


@pytest.mark.parametrize("dtype", STORED)
def test_masked_values_of_every_type_stay_masked(dtype):
    """A value that no valid pixel has marks the others."""
    array = np.ma.MaskedArray((np.arange(24).reshape(2, 3, 4) % 3 > 0).astype(dtype), np.arange(24) % 3 == 0)
    found = read(array)
    assert np.array_equal(found.mask, array.mask) and (found.compressed() == 1).all()
    assert read(array, look=lambda file: file.nodata) is not None


@given(
    st.sampled_from(["int8", "uint8", "int16", "uint16", "int64", "uint64", "float32"]).flatmap(
        lambda name: arrays(name, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9))
    ),
    st.randoms(use_true_random=False),
)
def test_values_and_masks_come_back(array, random):
    """Whatever they are; NaN is masked, as everywhere."""
    mask = np.array([random.random() < 0.3 for _ in range(array.size)]).reshape(array.shape)
    last = array.ndim == 3 and array.shape[2] <= 4 < min(array.shape[:2])
    expected = np.ma.MaskedArray(array, mask | np.isnan(array))
    found = read(np.ma.MaskedArray(array, mask))
    expected = (np.moveaxis(expected, 2, 0) if last else expected).reshape(found.shape)
    assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
    assert np.array_equal(found.compressed(), expected.compressed())


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("uint8", range(256)), ("int8", range(-128, 128)), ("uint16", range(65536))],
)
def test_where_every_value_is_used_the_mask_is_stored(dtype, values):
    """And bands whose masks then differ cannot be told apart."""
    array, below = np.array([values, values], dtype), np.repeat([[False], [True]], len(values), axis=1)
    masked = np.ma.MaskedArray([array, array], [below, below])
    found = read(masked)
    assert read(masked, look=lambda file: file.nodata) is None
    assert np.array_equal(found.mask, masked.mask) and np.array_equal(found.compressed(), masked.compressed())
    with pytest.raises(BadResultError) as caught:
        read(np.ma.MaskedArray([array, array], [below, ~below]))
    assert caught.value.message.startswith("the function's bands have masks that differ, and no value of ")


def test_the_first_gap_marks_what_is_masked():
    """Where both ends of the type are used."""
    array = np.ma.masked_equal(np.array([[0, 1, 2, 255, 7]], np.uint8), 7)
    assert read(array, look=lambda file: file.nodata) == 3
    wide = np.ma.masked_equal(np.array([[-(2**63), 2**63 - 1, 7]]), 7)
    assert read(wide).mask.tolist() == [[[False, False, True]]]


def test_a_fourth_band_is_not_transparency():
    """Zeros in it would hide the others."""
    array = np.zeros((4, 2, 3), np.uint8)
    assert not read(array).mask.any()
    assert read(array, look=lambda file: {each.name for each in file.mask_flag_enums[0]}) == {"all_valid"}


def test_the_last_axis_may_be_the_bands():
    """As for pictures; the tag says what the function returned."""
    array = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(read(array), np.moveaxis(array, 2, 0)) and json.loads(tags(array)["shape"]) == [5, 7, 3]


def test_an_array_has_the_place_of_its_tile():
    """And none in a file."""
    found = read(np.zeros((5, 7)), TILE, lambda file: (tuple(file.bounds), file.crs, file.shape))
    assert found[0] == pytest.approx(tuple(TILE.bounds_3857)) and found[1:] == (CRS.from_epsg(3857), (5, 7))
    assert read(np.zeros((5, 7)), look=lambda file: file.crs) is None


@pytest.mark.parametrize("tile", [None, TILE])
def test_bounds_of_its_own_count(tile):
    """In degrees; nothing is warped."""
    array = np.arange(35, dtype=np.int16).reshape(5, 7)
    found = read((array, BOUNDS), tile, lambda file: (tuple(file.bounds), file.crs, file.read(1)))
    assert found[0] == pytest.approx(BOUNDS) and found[1] == CRS.from_epsg(4326) and np.array_equal(found[2], array)


def test_an_image_of_rio_tiler_keeps_place_and_mask():
    """In its own reference system; it is opened as a DataArray."""
    image = ImageData(
        np.ma.MaskedArray(np.arange(12, dtype=np.uint16).reshape(1, 3, 4), np.arange(12).reshape(1, 3, 4) == 5),
        bounds=(0, 0, 40, 30), crs=CRS.from_epsg(32632),
    )  # fmt: skip
    found = read(image, TILE, lambda file: (tuple(file.bounds), file.crs, file.read(masked=True).mask.sum()))
    assert found == ((0, 0, 40, 30), CRS.from_epsg(32632), 1)
    assert tags(image) == {"orig_type": "xarray.DataArray"}


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("crs", [None, 32632, 4326])
def test_a_data_array_keeps_its_coordinates(tmp_path, flipped, crs):
    """Also without a reference system, and with rows from the south."""
    array = grid() if crs is None else grid().rio.write_crs(crs)
    array = array[::-1] if flipped else array
    found = opened(array, tmp_path)
    assert np.allclose(found.x, array.x) and np.allclose(found.y, array.y) and np.array_equal(found[0], array)
    assert found.rio.crs == (CRS.from_epsg(crs) if crs else None)


def test_axes_of_degrees_and_axes_without_coordinates(tmp_path):
    """lat and lon are degrees; names of rows, or a single one, are no coordinates."""
    assert opened(grid(("lat", "lon")), tmp_path).rio.crs == CRS.from_epsg(4326)
    still, endless = [1.0] * 4, [1.0, 2.0, 3.0, np.inf]
    coordinates = [grid().assign_coords(x=x) for x in (list("abcd"), still, endless)]
    for odd in (*coordinates, grid()[:1], grid().drop_vars("x")):
        assert np.array_equal(read(odd)[0], odd) and read(odd, look=lambda file: file.transform.is_identity)
    whole = grid().assign_coords(y=np.array([3, 2, 1], np.uint8))
    assert opened(whole, tmp_path).y.values.tolist() == [3, 2, 1]


def test_nodata_of_a_data_array_is_masked():
    """Where rioxarray knows it."""
    found = read(grid(dtype="int16").rio.write_nodata(5))
    assert found.mask.sum() == 1 and found.mask[0, 1, 1]


def test_the_sdk_is_told_what_it_was():
    """Tags of the namespace `fused` (hosted API, section 2.6)."""
    array = np.zeros((5, 7), np.uint8)
    assert tags(array) == {"orig_type": "numpy.ndarray", "shape": "[5, 7]"}
    assert tags(np.zeros((3, 5, 7))) == {"orig_type": "numpy.ndarray", "shape": "[3, 5, 7]"}
    found = tags((array, np.array(BOUNDS)))
    assert (found["orig_type"], json.loads(found["bounds"])) == ("numpy.ndarray", list(BOUNDS))
    assert tags(grid()) == {"orig_type": "xarray.DataArray"}
    assert tags(xarray.Dataset({"height of <land>": grid()})) == {"key": "height of <land>"}


def test_a_dataset_of_one_variable_is_that_variable():
    """With bands, and with its place; of several each is a band with its name."""
    deep = xarray.concat([grid(), grid() + 1], "band").rio.write_crs(4326)
    assert np.array_equal(read(xarray.Dataset({"a": deep})), deep)
    both = xarray.Dataset({"a": grid(), "b": grid() * 2}).rio.write_crs(4326)
    assert tags(both) == {}
    found = read(both, look=lambda file: (file.descriptions, file.crs, file.read(2)))
    assert found[:2] == (("a", "b"), CRS.from_epsg(4326)) and np.array_equal(found[2], both.b)


def test_a_picture_is_its_pixels():
    """Red, green, blue and alpha as bands."""
    assert read(Image.new("RGB", (5, 3), "red"))[:, 0, 0].tolist() == [255, 0, 0, 255]


def test_no_raster_is_no_tiff():
    """What no picture can be either."""
    for odd in (np.zeros(3), np.zeros((2, 3), complex), np.zeros((0, 3)), np.array([["a"]]), xarray.Dataset()):
        with pytest.raises(BadResultError):
            read(odd)


def test_equal_results_are_equal_bytes():
    """So that their ETags are equal."""
    one, two = (encode((np.zeros((9, 9)), BOUNDS), Output(formats=("tiff",)), None, limit=10**6) for _ in range(2))
    assert one.body == two.body


def test_nothing_is_said_of_what_has_no_place(recwarn):
    """A warning would be printed by the function."""
    encode(np.zeros((9, 9)), Output(formats=("tiff",)), None, limit=10**6)
    assert not [each for each in recwarn if issubclass(each.category, NotGeoreferencedWarning)]
