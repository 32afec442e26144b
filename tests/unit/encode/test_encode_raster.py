"""Rasters: axes, ranges, colours, places; rio-tiler is the reference."""

import io
import warnings

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - gives arrays their `rio`
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import from_bounds
from rio_tiler.colormap import cmap
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from tileserver.encode import encode, raster, warp
from tileserver.errors import BadResultError, FormatNotPossibleError, InvalidParameterError, ResultTooLargeError
from tileserver.jobs import Output
from tileserver.tiles import Bounds, Tile

TILE = Tile(4, 8, 5)


def rendered(result, tile=TILE, **options):
    """The answer of one raster."""
    formats = (options.pop("format"),) if "format" in options else ()
    return encode(result, Output(formats=formats, **options), tile, limit=10_000_000)


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
    [((7, 9), 1), ((3, 7, 9), 3), ((9, 7, 3), 3), ((9, 7, 4), 4), ((2, 7, 9), 2), ((7, 8, 9), 7), ((3, 9, 3), 3),
     ((9, 7, 1), 1), ((9, 7, 2), 2), ((13, 4, 4), 13), ((4, 9, 3), 4)],
)  # fmt: skip
def test_axes(shape, bands):
    """Two axes are one band; the last axis is the bands if it has at most 4 and both others more."""
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


@pytest.mark.parametrize("shape", [(2, 2), (256, 256), (512, 512), (5, 900)])
@pytest.mark.parametrize("tile", [TILE, None])
def test_an_array_is_sent_as_it_is(shape, tile):
    """Of whatever size, on a tile as in a file: who shows it stretches it, and nothing is resampled."""
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for size, resampling in ((256, "nearest"), (512, "bilinear")):
        assert np.array_equal(pixels(array, tile, mode="L", size=size, resampling=resampling), array)


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_what_lies_elsewhere_has_the_size_that_is_asked_for(size):
    """`@2x` and `tile_size` are in it; what lies on the tile keeps its own."""
    assert pixels((np.full((50, 50), 200, np.uint8), TILE.bounds), size=size).shape == (size, size, 4)
    image = ImageData(np.full((1, 40, 40), 9, np.uint8), bounds=TILE.bounds_3857, crs=CRS.from_epsg(3857))
    assert pixels(image, size=size).shape == (40, 40, 4)


def test_coordinates_of_no_crs_are_no_place():
    """A picture of them is stretched over the tile, as an array is."""
    array = np.arange(16, dtype=np.uint8).reshape(4, 4)
    grid = xarray.DataArray(array, dims=("y", "x"), coords={"y": range(4), "x": range(4)})
    assert np.array_equal(pixels(grid), pixels(array))


def test_warped_from_degrees():
    """An array with bounds covers what they cover and nothing else."""
    west, south, east, north = TILE.bounds
    found = pixels((np.full((50, 50), 200, np.uint8), (west, south, (west + east) / 2, north)))
    assert (found[2:-2, :126, 3] == 255).all() and not found[:, 130:, 3].any()
    assert (found[2:-2, :126, 0] == 200).all()


DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
    ">u2",
]


@st.composite
def pictures(draw):
    """Bands of any type with some pixels masked, and a mask of their own for each band or one for all."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = (draw(st.sampled_from([1, 3])), draw(st.integers(5, 9)), draw(st.integers(5, 9)))
    values = draw(arrays(dtype, shape))
    mask = draw(arrays(bool, shape if draw(st.booleans()) else shape[1:]))
    return np.ma.MaskedArray(values, np.broadcast_to(mask, shape))


@given(pictures(), st.booleans())
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_pictures_of_every_type(picture, last):
    """Whatever the type and order of axes: values are cut to their place in the range, transparent where none is."""
    limits = (float(-100), float(100)) if picture.dtype.kind == "f" else raster.colour.nominal(picture.dtype)
    found = pixels(np.moveaxis(picture, 0, 2) if last else picture, None, rescale=(limits,))
    values = np.ma.getdata(picture).astype(np.float64)
    missing = np.ma.getmaskarray(picture) | np.isnan(values)
    share = (np.clip(values, *limits) - limits[0]) / (limits[1] - limits[0])
    expected = np.where(missing, 0, np.floor(np.nan_to_num(share) * 255)).astype(np.uint8)
    seen = ~missing.all(axis=0)
    assert np.array_equal(found[..., 3], np.where(seen, 255, 0))
    for channel in range(3):
        assert np.array_equal(found[seen][:, channel], expected[channel % len(expected)][seen])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint64", "int64", "float32", "float64"])
def test_a_warp_keeps_the_ends_of_a_type(dtype):
    """The largest and smallest values are themselves after resampling, of 64 bits too."""
    top, low = (1e30 if dtype[0] == "f" else np.iinfo(dtype).max, 0)
    bounds = Bounds(*TILE.bounds)
    for value in (top, low):
        bands = np.ma.MaskedArray(np.full((1, 9, 9), value, dtype))
        found = warp.fit(bands, bounds, "EPSG:4326", TILE, Output(size=64, resampling="bilinear"))
        assert found.dtype == dtype
        assert np.allclose(found.astype(float), float(value))
    whole = np.full((9, 9), np.iinfo(np.int64).max), (-180, -90, 180, 90)
    assert pixels(whole, resampling="bilinear", mode="L").min() == 255


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average", "mode"])
def test_each_band_is_warped_as_by_itself(resampling):
    """Where others have a value and it has none, nothing of it is added up."""
    values = np.random.default_rng(4).integers(0, 120, (3, 300, 300)).astype("float32")
    for bands in (np.where(values < 20, np.nan, values), np.where(values[:1] < 20, np.nan, values)):
        output = Output(size=128, resampling=resampling)
        whole, *alone = (
            np.ma.filled(warp.fit(raster.read(each).bands, Bounds(5, 45, 9, 49), "EPSG:4326", TILE, output), -1)
            for each in (bands, *(band[np.newaxis] for band in bands))
        )
        assert (whole >= 0).any()
        assert np.array_equal(whole, np.concatenate(alone))


@given(st.integers(3, 18), st.floats(-170, 170), st.floats(-70, 70), st.integers(5, 200), st.integers(5, 200))
@settings(deadline=None, max_examples=40)
def test_a_warp_puts_every_pixel_in_its_place(zoom, longitude, latitude, width, height):
    """By `nearest` each pixel has the value of the cell under its centre, computed from its degrees."""
    tile = Tile.at(longitude, latitude, zoom)
    west, south, east, north = tile.bounds
    across, up = (east - west) / 3, (north - south) / 4
    bounds = (west - across, south + up, east - across, north + up / 2)
    cells = np.arange(width * height, dtype=np.float32).reshape(height, width) + 1
    found = warp.fit(raster.read(cells).bands, Bounds(*bounds), "EPSG:4326", tile, Output(size=64))[0]
    place = (np.arange(64) + 0.5) / 64
    metres = tile.bounds_3857
    degrees = np.degrees(np.arctan(np.sinh((metres.north + place * (metres.south - metres.north)) / 6378137)))
    columns = (west + place * (east - west) - bounds[0]) / (bounds[2] - bounds[0]) * width
    rows = (bounds[3] - degrees) / (bounds[3] - bounds[1]) * height
    # GDAL may miss by an eighth of a cell
    sure = [np.abs(cell - np.rint(cell)) > 0.15 for cell in (rows, columns)]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
    expected = np.floor(rows).clip(0, height - 1)[:, None] * width + np.floor(columns).clip(0, width - 1)[None, :] + 1
    compared = sure[0][:, None] & sure[1][None, :]
    assert np.array_equal(np.ma.getmaskarray(found)[compared], ~inside[compared])
    assert np.array_equal(found.filled(0)[compared & inside], expected[compared & inside])


def test_a_warp_is_rio_tilers(tmp_path):
    """An array with bounds has the pixels that rio-tiler reads from a file of it, but for one in a thousand."""
    bounds, cells = (1.0, 42.0, 20.0, 55.0), np.random.default_rng(1).integers(1, 255, (500, 700), np.uint8)
    grid = from_bounds(*bounds, 700, 500)
    profile = {"width": 700, "height": 500, "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "transform": grid}
    with rasterio.open(tmp_path / "cells.tif", "w", "GTiff", **profile) as out:
        out.write(cells, 1)
    with Reader(str(tmp_path / "cells.tif")) as reader:
        for tile in (TILE, Tile(6, 33, 22), Tile(8, 135, 88), Tile(5, 16, 11)):
            image = reader.tile(tile.x, tile.y, tile.z)
            found = pixels((cells, bounds), tile, mode="LA")
            assert (found[..., 1] != image.mask).mean() < 1e-3
            assert (found[..., 0] != np.where(image.mask, image.data[0], 0)).mean() < 1e-3


def test_bounds_across_the_180th_meridian():
    """West above east means across the meridian: an array is at both edges of the world and nowhere else."""
    filled = {
        x for x in range(8) if pixels((np.full((9, 9), 7, np.uint8), (170, -20, -170, 20)), Tile(3, x, 3))[..., 3].any()
    }
    assert filled == {0, 7}
    for x, columns in ((0, slice(0, 56)), (7, slice(200, 256))):
        drawn = pixels((np.full((9, 9), 7, np.uint8), (170, -20, -170, 20)), Tile(3, x, 3))[200, :, 3]
        assert drawn[columns].all() and drawn.sum() <= 58 * 255


def test_image_data_has_its_bands_first():
    """rio-tiler's axes are never guessed: six bands of a picture three pixels wide stay six bands."""
    image = ImageData(
        np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((6, 9, 3), np.uint8), band_names=list("abcdef")
    )
    assert pixels(image, None, mode="L", bands=(6,)).max() == 5


def test_xarray_is_read_by_the_names_of_its_dimensions():
    """Rows and columns may stand anywhere and run either way; nodata is a gap."""
    cells = np.random.default_rng(2).integers(1, 255, (40, 60), np.uint8)
    west, south, east, north = TILE.bounds
    place = {
        "lon": west + (np.arange(60) + 0.5) * (east - west) / 60,
        "lat": north - (np.arange(40) + 0.5) * (north - south) / 40,
    }
    array = xarray.DataArray(cells, dims=("lat", "lon"), coords=place)
    expected = pixels((cells, TILE.bounds))
    assert expected[..., 3].all()
    for same in (array, array.transpose(), array.isel(lat=slice(None, None, -1)), array.expand_dims("time", -1)):
        assert np.array_equal(pixels(same), expected)
    gaps = array.where(array > 20, 0).rio.write_nodata(0)
    assert np.array_equal(pixels(gaps)[..., 3] == 0, expected[..., 0] <= 20)


def test_every_variable_has_its_own_nodata():
    """Of a Dataset; a type need not even hold it."""
    first = xarray.DataArray(np.array([[1, 2], [3, 4]], np.uint8), dims=("y", "x")).rio.write_nodata(3)
    second = xarray.DataArray(np.array([[5, 6], [7, 3]], np.uint8), dims=("y", "x"), attrs={"_FillValue": -9999})
    found = raster.read(xarray.Dataset({"first": first, "second": second}))
    assert np.ma.getmaskarray(found.bands).tolist() == [[[False, False], [True, False]], [[False, False]] * 2]
    assert not np.ma.is_masked(raster.read(second).bands)


def test_uneven_coordinates_are_no_grid():
    """They would put cells elsewhere; what is only rounded is even."""
    array = xarray.DataArray(np.zeros((3, 5)), dims=("lat", "lon"), coords={"lat": [1, 2, 30], "lon": range(5)})
    with pytest.raises(BadResultError) as caught:
        raster.read(array)
    assert "unevenly spaced" in caught.value.message
    assert raster.read(array.assign_coords(lat=[1, 2.01, 3])).bounds.north == 0.5


def test_a_world_that_begins_at_greenwich():
    """Longitudes from 0 to 360 are on both halves of the map."""
    longitudes, latitudes = np.arange(0, 360, 1.0), np.arange(89.5, -90, -1)
    cells = np.broadcast_to(np.where(longitudes < 180, 50, 200).astype(np.uint8), (180, 360))
    array = xarray.DataArray(cells, dims=("lat", "lon"), coords={"lat": latitudes, "lon": longitudes})
    found = pixels(array, Tile(0, 0, 0), mode="LA")
    assert (found[..., 1] == 255).all()
    assert (found[:, :126, 0] == 200).all() and (found[:, 130:, 0] == 50).all()


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


@pytest.mark.parametrize("name", ["jpg", "webp", "gif", "avif"])
def test_pictures_of_every_format(name):
    """Smooth colours come back nearly as they were, and the media type is the format's."""
    y, x = np.indices((64, 96))
    array = np.stack([x * 2, y * 3, x + y]).astype(np.uint8)
    found = rendered(array, format=name, quality=95)
    picture = Image.open(io.BytesIO(found.body))
    assert (found.media_type, picture.format) == (f"image/{'jpeg' if name == 'jpg' else name}", picture.format.upper())
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - np.moveaxis(array, 0, -1)).mean() < 6


@pytest.mark.parametrize("name", ["jpg", "webp", "avif"])
def test_quality_is_fewer_or_more_bytes(name):
    """From 1 to 100."""
    array = np.random.default_rng(1).integers(0, 256, (3, 64, 64), np.uint8)
    low, middle, high = (len(rendered(array, format=name, quality=quality).body) for quality in (5, 60, 98))
    assert low < middle < high


def test_lossless_webp_keeps_every_pixel():
    """Lossy does not."""
    array = np.random.default_rng(1).integers(0, 256, (3, 64, 64), np.uint8)
    assert np.array_equal(pixels(array, format="webp", lossless=True, mode="RGB"), np.moveaxis(array, 0, -1))
    assert not np.array_equal(pixels(array, format="webp", mode="RGB"), np.moveaxis(array, 0, -1))


def test_the_smallest_file():
    """Is smaller, and the same picture where the format keeps every pixel."""
    y, x = np.indices((200, 200))
    array = np.stack([x, y, (x * y) % 251]).astype(np.uint8)
    for name, options in (("png", {}), ("webp", {"lossless": True}), ("jpg", {})):
        small = rendered(array, format=name, compression="smallest", **options)
        assert len(small.body) < len(rendered(array, format=name, **options).body)
    assert np.array_equal(pixels(array, format="png", compression="smallest", mode="RGB"), np.moveaxis(array, 0, -1))


def test_a_colour_map_in_other_formats():
    """Its colours, composed on the background in JPEG."""
    array = np.array([[0.0, 1.0], [np.nan, 0.5]]).repeat(16, 0).repeat(16, 1)
    found = pixels(array, format="webp", colormap="viridis", lossless=True)
    assert found[0, 0].tolist() == [68, 1, 84, 255] and not found[-1, 0, 3]
    found = pixels(array, format="jpg", colormap="viridis", quality=100, background="#00ff00", mode="RGB")
    assert np.abs(found[24, 8].astype(int) - (0, 255, 0)).max() < 12


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
        ((np.zeros((2, 2)), np.zeros((9, 9))), "return (west, south, east, north)"),
    ],
)
def test_what_is_no_raster(result, message):
    """The message says what was returned and what may be."""
    with pytest.raises(BadResultError) as caught:
        rendered(result)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("dtype", [complex, np.complex64, "datetime64[s]", "U3", object])
def test_types_that_no_picture_has(dtype):
    """Are named."""
    with pytest.raises(BadResultError) as caught:
        rendered(np.zeros((3, 3), dtype))
    assert "of numbers or bool" in caught.value.message


@pytest.mark.parametrize(
    ("options", "parameter", "message"),
    [
        ({"colormap": "nope"}, "colormap", "colormap=nope is not known"),
        ({"colormap": "{1"}, "colormap", "neither a name nor"),
        ({"bands": (4,)}, "bands", "band 4 does not exist; the result has 3"),
        ({"bands": (1, 2, 3, 1, 2)}, "bands", "names 5 bands"),
        ({"colormap": "viridis"}, "colormap", "needs one band, not 3"),
        ({"rescale": ((0, 1), (0, 1))}, "rescale", "2 ranges for 3 bands"),
        ({"rescale": ((5, 5),)}, "rescale", "rescale=5,5 is not a range"),
        ({"rescale": ((0, np.inf),)}, "rescale", "rescale=0,inf is not a range"),
        ({"format": "jpg", "background": "nope", "bands": (1, 2)}, "background", "background=nope is not a colour"),
    ],
)
def test_what_does_not_fit(options, parameter, message):
    """Parameters that do not fit are named."""
    options = {"bands": (1,)} | options if options.get("colormap") in ("nope", "{1") else options
    with pytest.raises(InvalidParameterError, match=message.replace("{", r"\{")) as caught:
        rendered(np.zeros((3, 8, 8), np.uint16), **options)
    assert caught.value.parameter == parameter


def test_a_resampling_that_gdal_lacks_is_named():
    """Where something is warped."""
    with pytest.raises(InvalidParameterError, match="resampling=nope is not known"):
        rendered((np.zeros((8, 8)), (0, 0, 1, 1)), resampling="nope")


def test_limits():
    """A raster is not a vector tile, and not larger than it may be."""
    with pytest.raises(FormatNotPossibleError, match="cannot be mvt; ask for png, jpg, webp, gif, avif, tiff"):
        rendered(np.zeros((8, 8)), format="mvt")
    with pytest.raises(ResultTooLargeError) as caught:
        encode(np.zeros((8, 8), np.uint8), Output(), None, limit=10)
    assert "at most 10 may be sent" in caught.value.message
