"""Rasters: axes, ranges, colours, places; rio-tiler is the reference."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from rasterio.crs import CRS
from rio_tiler.colormap import cmap
from rio_tiler.models import ImageData

from tileserver.encode import encode, raster
from tileserver.errors import BadResultError, FormatNotPossibleError, InvalidParameterError, ResultTooLargeError
from tileserver.jobs import Output
from tileserver.tiles import Tile

TILE = Tile(4, 8, 5)


def rendered(result, tile=TILE, **options):
    """The answer of one raster."""
    return encode(result, Output(**options), tile, limit=10_000_000)


def pixels(result, tile=TILE, mode="RGBA", **options):
    """The pixels of the answer."""
    return np.asarray(Image.open(io.BytesIO(rendered(result, tile, **options).body)).convert(mode))


def reference(array, rescale, colormap=None):
    """The pixels that rio-tiler draws."""
    image = ImageData(array)
    image.rescale(in_range=rescale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = image.render(img_format="PNG", colormap=cmap.get(colormap) if colormap else None)
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


@pytest.mark.parametrize(
    ("shape", "bands"),
    [((7, 9), 1), ((3, 7, 9), 3), ((9, 7, 3), 3), ((9, 7, 4), 4), ((2, 7, 9), 2), ((7, 8, 9), 7), ((3, 9, 3), 3)],
)
def test_axes(shape, bands):
    """Two axes are one band; the last axis is the bands if it has 3 or 4 and the first more than 4."""
    assert raster.read(np.zeros(shape, np.uint8)).bands.shape[0] == bands


@given(arrays(np.uint16, (3, 16, 16)), st.integers(0, 3000), st.integers(3001, 65535))
def test_rescale_is_rio_tilers(array, low, high):
    """Values of 16 bits take rio-tiler's place between 0 and 255."""
    masked = np.ma.MaskedArray(array)
    found = pixels(array, None, rescale=((low, high),))
    assert np.array_equal(found, reference(masked, ((low, high),)))


@given(arrays(np.uint16, (1, 16, 16)), st.sampled_from(["viridis", "terrain", "rdbu_r"]))
def test_colormap_is_rio_tilers(array, name):
    """Colour maps are rio-tiler's, through the same steps."""
    found = pixels(array, None, rescale=((100, 9000),), colormap=name)
    assert np.array_equal(found, reference(np.ma.MaskedArray(array), ((100, 9000),), name))


def test_without_value_is_transparent():
    """NaN and masked pixels are transparent, infinities take the end of the range."""
    array = np.ma.MaskedArray([[0.0, np.nan], [np.inf, 0.5]], [[False, False], [False, True]])
    found = pixels(array, None, mode="LA")
    assert found[..., 1].tolist() == [[255, 0], [255, 0]] and found[1, 0, 0] == 255


def test_nominal_ranges():
    """bool is black and white, 8 bits stay, wider integers and floats have a range by their type."""
    assert pixels(np.array([[True, False]]), None, mode="L").tolist() == [[255, 0]]
    assert pixels(np.array([[7, 9]], np.uint8), None, mode="L").tolist() == [[7, 9]]
    assert pixels(np.array([[0, 65535]], np.uint16), None, mode="L").tolist() == [[0, 255]]
    assert pixels(np.array([[0.5, 2]], np.float32), None, mode="L").tolist() == [[127, 255]]


def test_alpha_of_eight_bits_is_not_rescaled():
    """A range for the colours leaves alpha alone."""
    found = pixels(np.full((4, 2, 2), 50, np.uint8), None, rescale=((0, 100),))
    assert found[0, 0].tolist() == [127, 127, 127, 50]


def test_bands_are_counted_from_one():
    """Bands are picked in the order that is asked for; without a choice the first three show."""
    array = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 8, 8), np.uint8)
    assert pixels(array, None, mode="RGB", bands=(5, 1, 3))[0, 0].tolist() == [4, 0, 2]
    assert pixels(array, None, mode="RGB")[0, 0].tolist() == [0, 1, 2]


def test_colours_by_value():
    """A colour map by values colours those only."""
    found = pixels(np.array([[1, 2, 3]], np.uint8), None, colormap='{"1":"#ff0000","3":"#00ff0080"}')
    assert found[0].tolist() == [[255, 0, 0, 255], [0, 0, 0, 0], [0, 255, 0, 128]]


def test_stretched_over_the_tile():
    """An array without a place is stretched; a file keeps its own size."""
    array = np.array([[0, 255], [255, 0]], np.uint8)
    assert np.array_equal(pixels(array, mode="L"), np.kron(array, np.ones((128, 128), np.uint8)))
    assert pixels(array, None, mode="L").shape == (2, 2)
    assert pixels(array, mode="L", size=64, resampling="bilinear").shape == (64, 64)


def test_warped_from_degrees():
    """An array with bounds covers what they cover and nothing else."""
    west, south, east, north = TILE.bounds
    found = pixels((np.full((50, 50), 200, np.uint8), (west, south, (west + east) / 2, north)))
    assert (found[2:-2, :126, 3] == 255).all() and not found[:, 130:, 3].any()
    assert (found[2:-2, :126, 0] == 200).all()


def test_image_data_of_the_tile_is_kept():
    """rio-tiler's image of the tile is drawn pixel by pixel, with its mask."""
    data = np.ma.MaskedArray(np.arange(65536, dtype=np.uint16).reshape(1, 256, 256) // 256, False)
    data[0, 0, :] = np.ma.masked
    image = ImageData(data, bounds=TILE.bounds_3857, crs=CRS.from_epsg(3857))
    found = pixels(image, mode="LA", rescale=((0, 255),))
    assert not found[0, :, 1].any() and found[1:, 0, 0].tolist() == list(range(1, 256))


def test_image_data_from_elsewhere_is_warped():
    """rio-tiler's image in degrees goes to its place."""
    image = ImageData(np.full((1, 20, 20), 9, np.uint8), bounds=TILE.bounds, crs=CRS.from_epsg(4326))
    assert (pixels(image, mode="L")[2:-2, 2:-2] == 9).all()


def test_jpeg_has_the_background_and_webp_alpha():
    """JPEG composes on the background, WebP stays transparent."""
    clear = np.zeros((4, 16, 16), np.uint8)
    assert pixels(clear, format="jpg", background="#ff0000")[0, 0, :3].tolist() == [254, 0, 0]
    assert not pixels(clear, format="webp")[..., 3].any()


def test_facts_and_media_type():
    """A sample says type and bands."""
    found = encode(np.zeros((2, 8, 8), np.uint16), Output(), TILE, limit=10_000, sample=True)
    assert found.facts == {"dtype": "uint16", "bands": 2}
    assert (found.media_type, found.kind, found.format, found.coding) == ("image/png", "raster", "png", "")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            np.zeros((2, 3), complex),
            "the function returned a complex128 array of shape (2, 3); return (height, width), (bands, height, width) "
            "or (height, width, 1 to 4) of numbers or bool",
        ),
        (np.zeros((2, 3), object), "an object array of shape (2, 3)"),
        (np.zeros(3), "a float64 array of shape (3,)"),
        (np.zeros((0, 3)), "which has no pixel"),
        ((np.zeros((2, 2)), (3, 2, 1, 0)), "with the bounds (3, 2, 1, 0); return (west, south, east, north)"),
    ],
)
def test_what_is_no_raster(result, message):
    """The message says what was returned and what may be."""
    with pytest.raises(BadResultError) as caught:
        rendered(result)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("options", "parameter", "message"),
    [
        ({"colormap": "nope"}, "colormap", "colormap=nope is not known"),
        ({"colormap": "{1"}, "colormap", "neither a name nor an object"),
        ({"bands": (4,)}, "bands", "band 4 does not exist; the result has 3"),
        ({"bands": (1, 2, 3, 1, 2)}, "bands", "names 5 bands"),
        ({"colormap": "viridis"}, "colormap", "needs one band, not 3"),
        ({"rescale": ((0, 1), (0, 1))}, "rescale", "2 ranges for 3 bands"),
        ({"rescale": ((5, 5),)}, "rescale", "rescale=5,5 is not a range"),
        ({"format": "jpg", "background": "nope", "bands": (1, 2)}, "background", "background=nope is not a colour"),
        ({"resampling": "nope"}, "resampling", "resampling=nope is not known"),
    ],
)
def test_what_does_not_fit(options, parameter, message):
    """Parameters that do not fit are named."""
    options = {"bands": (1,)} | options if options.get("colormap") in ("nope", "{1") else options
    with pytest.raises(InvalidParameterError, match=message.replace("{", r"\{")) as caught:
        rendered(np.zeros((3, 8, 8), np.uint16), **options)
    assert caught.value.parameter == parameter


def test_limits():
    """A raster is not a vector tile, and not larger than it may be."""
    with pytest.raises(FormatNotPossibleError, match="a raster result cannot be mvt; ask for png, jpg or webp"):
        rendered(np.zeros((8, 8)), format="mvt")
    with pytest.raises(ResultTooLargeError) as caught:
        encode(np.zeros((8, 8), np.uint8), Output(), None, limit=10)
    assert "at most 10 may be sent" in caught.value.message
