"""Colours of values: tables and blocks give what the formula gives; rio-tiler is the reference for colour maps."""

import io
import warnings

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from rio_tiler.colormap import cmap
from rio_tiler.models import ImageData

from tileserver.encode import colour, encode, raster
from tileserver.encode.palette import Indexed
from tileserver.jobs import Output

NARROW = ["bool", "uint8", "int8", "uint16", "int16", "float16", ">i2", ">f2"]
WIDE = ["uint32", "int32", "int64", "float32", "float64", ">f4"]
RANGES = st.tuples(st.integers(-200, 90), st.integers(91, 4000))


def body(array, **options):
    """The PNG of an array."""
    return encode(array, Output(formats=("png",), **options), None, limit=10_000_000).body


def rgba(picture):
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))


def mode(picture):
    """Pillow's; P where there is a palette."""
    return Image.open(io.BytesIO(picture)).mode


def level(values, limits, gamma=1.0):
    """The formula, in double precision."""
    low, high = limits
    share = (np.clip(np.nan_to_num(values.astype(np.float64), nan=low), low, high) - low) / (high - low)
    return np.floor(share ** (1 / gamma) * 255)


@given(st.data(), st.sampled_from(NARROW + WIDE), RANGES)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_values_take_their_place_in_the_range(data, dtype, limits):
    """Of any type and byte order, also where rows and columns are not next to each other in memory."""
    values = data.draw(arrays(np.dtype(dtype), (5, 7, 3)))
    found = colour.pixels(raster.read(values).bands, Output(rescale=(limits,)))[..., :3]
    expected = np.stack([level(values[..., band], limits) for band in range(3)], axis=-1)
    assert np.array_equal(found, np.where(np.isnan(values.astype(np.float64)), 0, expected))


@given(st.data(), st.sampled_from(NARROW[1:] + WIDE), RANGES, st.floats(0.3, 3))
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_gamma(data, dtype, limits, gamma):
    """Exact for 8 and 16 bits; of wider types off by one step at most, but for the darkest."""
    values = data.draw(arrays(np.dtype(dtype), (1, 5, 7)))
    found = colour.pixels(raster.read(values).bands, Output(rescale=(limits,), gamma=gamma))[..., 0]
    expected = level(values[0], limits, gamma)
    shown = ~np.isnan(values[0].astype(np.float64)) & ((level(values[0], limits) > 0) | (values.dtype.itemsize <= 2))
    off = np.abs(found - expected)[shown]
    assert off.max(initial=0) <= (1 if values.dtype.itemsize > 2 else 0)


def test_gamma_leaves_alpha_alone():
    """And what is shown as it is gets it, too."""
    array = np.stack([np.full((2, 2), 64, np.uint8), np.full((2, 2), 100, np.uint8)])
    assert rgba(body(array, gamma=2.0))[0, 0].tolist() == [127, 127, 127, 100]


def test_a_large_array_is_scaled_block_by_block():
    """With no seam where one ends."""
    values = np.linspace(-10, 110, 300 * 401).reshape(300, 401)
    found = colour.pixels(raster.read(values).bands, Output(rescale=((0, 100),)))
    assert np.array_equal(found[..., 0], level(values, (0, 100)))
    assert colour.pixels(raster.read(np.zeros((2, 50_000))).bands, Output()).shape == (2, 50_000, 1)


@given(arrays(np.float32, (24, 24), elements=st.floats(-100, 4000, width=32)), st.sampled_from(["viridis", "rdbu_r"]))
def test_a_colour_map_is_a_palette(array, name):
    """With rio-tiler's pixels, gaps among them."""
    array[array < 0] = np.nan
    image = ImageData(np.ma.masked_invalid(array)[np.newaxis])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.rescale(((0, 3000),))
        expected = rgba(image.render(img_format="PNG", colormap=cmap.get(name)))
    drawn = body(array, rescale=((0, 3000),), colormap=name)
    found, seen = rgba(drawn), expected[..., 3] > 0
    assert mode(drawn) == "P"
    assert np.array_equal(found[..., 3], expected[..., 3]) and np.array_equal(found[seen], expected[seen])


def test_a_full_palette_has_no_room_for_gaps():
    """Where every number is used, something else says what is transparent."""
    array = np.ma.MaskedArray((np.arange(512) % 256).astype(np.uint8).reshape(2, 256), False)
    array[1] = np.ma.masked
    drawn = body(array, colormap="viridis")
    assert not rgba(drawn)[1].any() and (rgba(drawn)[0, :, 3] == 255).all()
    array[0, 9] = np.ma.masked
    drawn = body(array, colormap="viridis")
    assert mode(drawn) == "P"
    assert not rgba(drawn)[1, :, 3].any() and not rgba(drawn)[0, 9, 3]
    assert rgba(drawn)[0, 8].tolist() == list(cmap.get("viridis")[8])


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
def test_stops_are_where_they_are_said_to_be(dtype):
    """To the value, whatever the distances between them and the range of the type."""
    text = '[[0, "#0000ff"], [1, "#00ff00"], [1, "#ffff00"], [1000, "#ff0000"]]'
    array = np.array([[0, 1000, 5000, 2]], dtype)
    found = rgba(body(array, colormap=text, rescale=((7, 9),)))[0, :, :3].tolist()
    assert found[:3] == [[0, 0, 255], [255, 0, 0], [255, 0, 0]]
    assert found[3][0] == 255 and 253 <= found[3][1] <= 255
    if dtype[0] == "f":
        assert rgba(body(np.array([[0.5, 0.98, 1.02]], dtype), colormap=text))[0].tolist()[0][2] in range(120, 136)


def test_colours_along_the_range():
    """Of a list, over the range that is asked for."""
    array = np.array([[100, 150, 200]], np.int32)
    found = rgba(body(array, colormap='["black", "white"]', rescale=((100, 200),)))
    assert found[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32"])
def test_categories_of_every_type(dtype):
    """What has no colour is transparent."""
    array = np.array([[1, 2, 3, 100]], dtype)
    drawn = body(array, colormap='{"3": "#00ff0080", "1": [255, 0, 0]}')
    assert mode(drawn) == "P"
    assert rgba(drawn)[0].tolist() == [[255, 0, 0, 255], [0, 0, 0, 0], [0, 255, 0, 128], [0, 0, 0, 0]]


def test_more_categories_than_a_palette_holds():
    """A thousand."""
    colours = {str(value): f"#{value * 7:06x}" for value in range(1000)}
    array = np.arange(1200, dtype=np.int32).reshape(30, 40)
    found = rgba(body(array, colormap=orjson.dumps(colours).decode())).reshape(-1, 4)
    assert [bytes(each).hex() for each in found[:1000]] == [f"{value * 7:06x}ff" for value in range(1000)]
    assert not found[1000:].any()


def test_a_band_of_alpha_beside_a_colour_map():
    """Both count, as does what has no value."""
    array = np.ma.MaskedArray([[[10, 10, 10]], [[255, 128, 255]]], [[[False, False, True]]] * 2, dtype=np.uint8)
    found = rgba(body(array, colormap='{"10": "#ff0000"}'))
    assert found[0].tolist() == [[255, 0, 0, 255], [255, 0, 0, 128], [0, 0, 0, 0]]


@given(arrays(np.uint8, (3, 6, 6)), st.booleans())
@settings(max_examples=20)
def test_the_array_itself_is_left_alone(array, masked):
    """Nothing is written into what the function returned."""
    given_array = np.ma.MaskedArray(array.copy(), array > 200) if masked else array.copy()
    body(given_array)
    body(given_array, rescale=((0, 100),), bands=(1,), colormap="viridis")
    assert np.array_equal(np.ma.getdata(given_array), array)


def test_what_is_opaque_has_no_alpha():
    """A band of alpha that is 255 everywhere, or a mask in which nothing is."""
    array = np.random.default_rng(1).integers(0, 256, (4, 64, 64), np.uint8)
    array[3] = 255
    assert colour.pixels(raster.read(array).bands, Output()).shape == (64, 64, 3)
    assert colour.pixels(np.ma.MaskedArray(array[:3], np.zeros((3, 64, 64), bool)), Output()).shape == (64, 64, 3)
    assert isinstance(colour.pixels(np.ma.MaskedArray(array[:1]), Output(colormap="viridis")), Indexed)
