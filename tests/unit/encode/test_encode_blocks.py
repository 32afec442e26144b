"""Blocks: what is cut from one is what the function would have given for the tile; seams, values and attributes."""

import datetime
import decimal
import gzip
import io
import uuid

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray
from commands import features
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.warp import reproject
from realdata import DATA, needs_data
from rio_tiler.models import ImageData

from tileserver.encode import blocks, encode, mosaic, pyramid, raster, warp
from tileserver.encode.blocks import Block
from tileserver.errors import BadResultError
from tileserver.jobs import Output
from tileserver.tiles import Tile

ABOVE = Tile(4, 8, 5)
NPY = Output(formats=("npy",))
CALLED = Output(exchange=True)


def stored(result, ancestor=ABOVE):
    """As a worker has it."""
    return Block(blocks.draw(result).body, ancestor)


def under(ancestor, down, column, row, size=256):
    """A tile so many zooms below."""
    return Tile(ancestor.z + down, (ancestor.x << down) + column, (ancestor.y << down) + row, size=size)


def cut(result, tile, ancestor=ABOVE, **output):
    return stored(result, ancestor).cut(tile, Output(size=tile.size, **output))


def noise(*shape, dtype="uint8"):
    values = np.random.default_rng(1).integers(0, 250, shape)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "bool"])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average", "mode"])
def test_tiles_of_as_many_pixels_are_slices(dtype, method):
    """Value for value, whatever resampling is asked for, and views of the stored array."""
    values = noise(2, 1024, 1024, dtype=dtype)
    block = stored(values)
    for column, row in ((0, 0), (3, 1), (2, 3)):
        found = block.cut(under(ABOVE, 2, column, row), Output(resampling=method))
        assert found.dtype == dtype
        assert np.array_equal(found, values[:, row * 256 : row * 256 + 256, column * 256 : column * 256 + 256])
        assert not found.flags.owndata


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "float32", "float64", "bool"])
@pytest.mark.parametrize("down", [2, 3, 4, 5, 8, 12])
def test_deeper_tiles_repeat_pixels(down, dtype):
    """The nearest pixel is the one that the new one lies in, however deep."""
    values = noise(512, 512, dtype=dtype)
    last = (1 << down) - 1
    for column, row in ((0, 0), (last // 3, last // 2), (last, last)):
        found = cut(values, under(ABOVE, down, column, row))
        x, y = (((at + (np.arange(256) + 0.5) / 256) * 512 / (1 << down)).astype(int) for at in (column, row))
        assert found.dtype == values.dtype
        assert np.array_equal(found, values[np.ix_(y, x)])


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("down", [2, 3, 4])
def test_bands_have_their_holes_in_common_or_not(down, method):
    """Those in common are stored once; either way each band is what it is by itself."""
    values, (one, *others) = noise(3, 1024, 1024), noise(3, 1024, 1024) < 200
    tile = under(ABOVE, down, 1, 2)
    sizes = []
    for mask in ([one, one, one], [one, *others]):
        whole = np.ma.MaskedArray(values, mask)
        found = cut(whole, tile, resampling=method)
        sizes.append(len(blocks.draw(whole).body))
        for band, alone in zip(found, whole, strict=True):
            expected = cut(alone, tile, resampling=method)
            assert np.array_equal(np.ma.getmaskarray(band), np.ma.getmaskarray(expected))
            assert np.array_equal(np.ma.filled(band, 0), np.ma.filled(expected, 0))
    assert sizes[1] - sizes[0] == 2 * mosaic.of(one[np.newaxis]).squares.size


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_smooth_resampling_is_gdals(method, dtype):
    """Inside of the block, where all neighbours are there."""
    values = noise(1, 64, 64, dtype=dtype)
    tile = under(ABOVE, 4, 5, 6)
    expected = np.zeros((1, 256, 256), dtype)
    reproject(
        values,
        expected,
        src_transform=from_bounds(*ABOVE.bounds_3857, 64, 64),
        src_crs="EPSG:3857",
        dst_transform=from_bounds(*tile.bounds_3857, 256, 256),
        dst_crs="EPSG:3857",
        resampling=Resampling[method],
    )
    found = cut(values, tile, resampling=method).astype(float)
    assert np.abs(found - expected).max() <= (1 if dtype == "uint8" else 0.01)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
def test_neighbours_fit_together(method):
    """Four tiles are, pixel for pixel, the tile above them at twice its size: there is no seam."""
    values = np.ma.masked_less(noise(2, 96, 96, dtype="float32"), 40)
    block = stored(values)
    for down, column, row in ((3, 2, 5), (5, 17, 30)):
        whole = block.cut(under(ABOVE, down, column, row, 512), Output(size=512, resampling=method))
        quarters = [
            [block.cut(under(ABOVE, down + 1, 2 * column + x, 2 * row + y), Output(resampling=method)) for x in (0, 1)]
            for y in (0, 1)
        ]
        joined = np.ma.concatenate([np.ma.concatenate(pair, axis=2) for pair in quarters], axis=1)
        assert np.allclose(np.ma.filled(whole, np.nan), np.ma.filled(joined, np.nan), equal_nan=True)


def test_what_has_no_value_stays_so():
    """Masks of integers, NaN of floats, alpha of an image; a smooth method takes the neighbours that have one."""
    whole = np.ma.MaskedArray(noise(1, 512, 512), noise(1, 512, 512) < 60)
    found = cut(whole, under(ABOVE, 1, 1, 0))
    assert np.array_equal(np.ma.getmaskarray(found), whole.mask[:, :256, 256:])
    floats = np.ma.filled(whole.astype("float32"), np.nan)
    found = cut(floats, under(ABOVE, 1, 1, 0))
    assert np.array_equal(found, floats[:, :256, 256:], equal_nan=True)
    flat = np.full((1, 64, 64), np.nan)
    flat[:, :, 20:] = 7
    found = cut(flat, under(ABOVE, 4, 4, 4), resampling="bilinear")
    assert set(np.unique(np.ma.compressed(found))) == {7}
    flat[0, 32, 40] = np.inf
    found = cut(flat, under(ABOVE, 4, 4, 4), resampling="bilinear")
    assert set(np.unique(np.ma.compressed(found))) == {7}
    image = ImageData(np.ma.MaskedArray(noise(3, 512, 512), np.broadcast_to(noise(512, 512) < 60, (3, 512, 512))))
    tile = under(ABOVE, 1, 1, 1)
    pictured = encode(stored(image).cut(tile, Output()), Output(formats=("png",)), tile, limit=10**7).body
    quarter = ImageData(image.array[:, 256:, 256:])
    assert pictured == encode(quarter, Output(formats=("png",)), tile, limit=10**7).body


def test_larger_results_are_made_smaller():
    """By GDAL, as the UDF says; `average` of four equal pixels is their value."""
    values = noise(1, 128, 128).repeat(8, axis=1).repeat(8, axis=2)
    assert np.array_equal(cut(values, ABOVE, resampling="average")[0], values[0, ::4, ::4].astype("uint8"))
    assert cut(values, under(ABOVE, 1, 1, 1), resampling="nearest").shape == (1, 256, 256)


def prepared(result, method):
    """As a worker has it that the cache gave a file."""
    body = encode(result, Output(block=True, resampling=method), ABOVE, limit=10**9).body
    return Block(body, ABOVE)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average", "mode"])
@pytest.mark.parametrize("sides", [(512, 512), (1024, 1024), (600, 1100), (257, 256)])
def test_tiles_above_a_rasters_resolution_are_slices(method, sides):
    """Of an array that was made for their zoom with the block, holes and all; also of twice as many pixels."""
    whole = np.ma.MaskedArray(noise(3, *sides), noise(*sides)[np.newaxis].repeat(3, axis=0) < 60)
    block = prepared(whole, method)
    levels = {each.shape[1]: each for each in pyramid.levels(whole, method, 256)[1:]}
    for down in range(3):
        for size in (256, 512):
            expected = levels.get(size << down)
            if expected is not None:
                last = (1 << down) - 1
                found = block.cut(under(ABOVE, down, last, 0, size), Output(size=size, resampling=method))
                part = np.s_[:, :size, last * size : (last + 1) * size]
                assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected)[part])
                assert np.array_equal(np.ma.filled(found, 0), np.ma.filled(expected[part], 0))
                assert not np.ma.getdata(found).flags.owndata


def test_the_nearest_pixel_is_the_same_with_and_without_smaller_arrays():
    """It is one of the whole at every zoom."""
    values = noise(2, 1000, 1300, dtype="float32")
    for down in range(5):
        tile = under(ABOVE, down, 0, (1 << down) - 1) if down else ABOVE
        assert np.array_equal(prepared(values, "nearest").cut(tile, Output()), cut(values, tile))


def test_opacity_is_made_smaller_too():
    """Beside what the bands say, by the same resampling."""
    image = ImageData(np.ma.MaskedArray(noise(3, 512, 512)), alpha_mask=noise(512, 512))
    found = prepared(image, "average").cut(ABOVE, Output(resampling="average"))
    expected = pyramid.levels(np.ma.MaskedArray(image.alpha_mask[np.newaxis]), "average", 256)[1]
    assert np.array_equal(found.alpha, expected[0])


@pytest.mark.parametrize("given", [(-0.5, 0.3, 0.3, -0.2), (0, 0, 0, 0)])
def test_a_placed_raster_is_warped_from_a_smaller_array(given):
    """Of which each of the tile's pixels has two each way: nearly what warping all of it gives."""
    ancestor = Tile(7, 64, 40)
    bounds = tuple(edge + each for edge, each in zip(ancestor.bounds, given, strict=True))
    rows, columns = np.indices((2048, 2048), "float32") / 100
    result, output = (np.sin(rows) + np.cos(columns), bounds), Output(resampling="average")
    block = Block(blocks.draw(result, output).body, ancestor)
    for tile in (ancestor, under(ancestor, 1, 1, 0)):
        found = raster.read(block.cut(tile, output)).bands
        expected = raster.read(cut(result, tile, ancestor, resampling="average")).bands
        assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        assert (np.abs(found - expected).max() > 0) == (tile == ancestor)  # the other has fewer pixels than four
        assert np.abs(found - expected).max() < 0.02


@pytest.mark.parametrize("ancestor", [ABOVE, Tile(7, 64, 40)])
def test_a_raster_that_reaches_far_beyond_its_tile_is_sharp(ancestor):
    """However many pixels it has as a whole, what counts is how many are on the tile."""
    result = (noise(1, 1200, 2000), (-180, -80, 179, 80))
    block = Block(blocks.draw(result, Output()).body, ancestor)
    for tile in (ancestor, under(ancestor, 1, 0, 1)):
        found = raster.read(block.cut(tile, Output())).bands
        assert np.array_equal(found, raster.read(cut(result, tile, ancestor)).bands)


@pytest.mark.parametrize("down", [0, 2, 5])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "average"])
def test_rasters_of_another_place_are_warped_from_a_window(down, method):
    """Which gives what warping all of it does."""
    west, south, east, north = ABOVE.bounds
    bounds = (west - 1, south - 1, east + 1, north - 3)
    values = noise(600, 700, dtype="float32")
    for column, row in ((0, 0), (1, 1)):
        tile = under(ABOVE, down, column, row) if down else ABOVE
        whole = raster.read((values, bounds))
        output = Output(resampling=method)
        expected = warp.fit(whole.bands, whole.bounds, whole.crs, tile, output)
        found = raster.read(stored((values, bounds)).cut(tile, output)).bands
        differing = np.ma.filled(found, -1) != np.ma.filled(expected, -1)
        # GDAL approximates the projection within an eighth of a pixel, from one edge of its window to the other
        assert differing.mean() < (0.02 if method == "nearest" else 1)
        assert np.abs(np.ma.filled(found, 0) - np.ma.filled(expected, 0)).mean() < 5


def test_nothing_lies_beside_a_placed_raster():
    """A tile that the raster does not reach has no value."""
    west, south, *_ = ABOVE.bounds
    found = cut((noise(50, 50), (west, south, west + 1, south + 1)), under(ABOVE, 3, 7, 0))
    assert found.mask.all()


def test_xarray_is_cut_too():
    """With its coordinates, and in its reference system."""
    west, _, east, north = ABOVE.bounds_3857
    step = (east - west) / 512
    x, y = west + step * (np.arange(512) + 0.5), north - step * (np.arange(512) + 0.5)
    array = xarray.DataArray(noise(512, 512), coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs(3857)
    assert np.array_equal(cut(array, under(ABOVE, 1, 0, 1))[0], array.values[256:, :256])


@pytest.mark.parametrize("shape", [(512, 512), (1, 512, 512), (512, 512, 3), (5, 512, 512)])
def test_axes_stay(shape):
    """An array comes back as it was returned, with bounds of its own too; also for a function that calls."""
    values, tile = noise(*shape), under(ABOVE, 1, 1, 0)
    expected = values[:256, 256:] if shape[0] == 512 else values[:, :256, 256:]
    for output in (Output(), CALLED):
        assert np.array_equal(stored(values).cut(tile, output), expected)
    assert stored((values, ABOVE.bounds)).cut(tile, Output()).shape == expected.shape
    placed, _ = stored((values, ABOVE.bounds)).cut(tile, CALLED)
    assert placed.shape == expected.shape


def places(bounds, size):
    """A value for each pixel: its longitude in one band, its latitude in the other."""
    west, south, east, north = bounds
    steps = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(west + steps * (east - west), north - steps * (north - south)))


@pytest.mark.parametrize(("down", "column", "row"), [(0, 0, 0), (1, 1, 0), (3, 2, 7), (9, 300, 17)])
def test_functions_get_bounds_with_arrays_that_had_some(down, column, row):
    """Those of the tile, in degrees: each pixel has the value of the place that these say it has."""
    tile, size = under(ABOVE, down, column, row), 1024
    array, bounds = cut((places(ABOVE.bounds, size), ABOVE.bounds), tile, exchange=True)
    assert bounds == tile.bounds
    pixel = [(far - near) / size for near, far in (ABOVE.bounds[::2], ABOVE.bounds[1::2])]
    assert not np.ma.isMaskedArray(array)
    assert (np.abs(array - places(bounds, 256)).max(axis=(1, 2)) <= np.array(pixel) * 0.501).all()


@pytest.mark.parametrize(("west", "east"), [(170, -170), (170, 190), (-190, -170)])
def test_bounds_beyond_the_180th_meridian_are_found_on_both_sides(west, east):
    """And nothing where they do not reach."""
    values = noise(40, 200)
    block = stored((values, (west, -10.0, east, 10.0)), Tile(0, 0, 0))
    east, west = (np.ma.filled(block.cut(Tile(5, column, 16), CALLED)[0], 255) for column in (31, 0))
    assert np.array_equal(np.unique(east), np.unique([*values[20:, :100].ravel(), 255]))
    assert np.array_equal(np.unique(west), np.unique([*values[20:, 100:].ravel(), 255]))
    assert block.cut(Tile(5, 5, 16), CALLED)[0].mask.all()


@pytest.mark.parametrize("bounds", [None, ABOVE.bounds])
@pytest.mark.parametrize("down", [1, 4])
def test_functions_get_masked_arrays_of_masked_ones_only(bounds, down):
    """NaN stays what it was; what an integer cannot say, a mask does."""
    values, tile = noise(512, 512, dtype="float32"), under(ABOVE, down, 0, 0)
    values[::2] = np.nan

    def handed(array):
        found = cut(array if bounds is None else (array, bounds), tile, exchange=True)
        return found if bounds is None else found[0]

    assert type(handed(values)) is np.ndarray
    assert 0.3 < np.isnan(handed(values)).mean() < 0.7
    assert np.array_equal(handed(np.ma.masked_invalid(values)).mask, np.isnan(handed(values)))
    assert isinstance(handed(np.ma.masked_array(noise(512, 512))), np.ma.MaskedArray)
    assert type(handed(noise(512, 512))) is np.ndarray


def test_features_without_a_system_are_in_degrees_or_an_error():
    """As without a block."""
    frame = frame_of({"n": range(40)})
    degrees = frame.set_crs(None, allow_override=True)
    assert len(cut(degrees, under(ABOVE, 1, 0, 0))) == len(cut(frame, under(ABOVE, 1, 0, 0)))
    with pytest.raises(BadResultError) as raised:
        blocks.draw(frame.to_crs(3857).set_crs(None, allow_override=True))
    assert "call set_crs" in raised.value.message


def frame_of(columns, count=40):
    random = np.random.default_rng(2)
    west, south, east, north = ABOVE.bounds
    points = shapely.points(random.uniform(west, east, count), random.uniform(south, north, count))
    shapes = shapely.buffer(points, random.uniform(0, 2, count), quad_segs=2)
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=4326)


MIXED = {
    "integers": pd.array([1, None, 2**63 - 1, -(2**63)] * 10, dtype="Int64"),
    "objects": pd.Series([1, None, 2**64 - 1, "text"] * 10, dtype=object),
    "whole": pd.Series([1, None, 3, 4] * 10, dtype=object),
    "flags": pd.Series([True, None, False, True] * 10, dtype=object),
    "nested": pd.Series([{"a": [1, 2.5]}, [1, "b"], (1, 2), None] * 10, dtype=object),
    "arrays": pd.Series([np.arange(2), np.array([0.5]), None, np.float32(2)] * 10, dtype=object),
    "bytes": pd.Series([b"one", None, b"\xff", b""] * 10, dtype=object),
    "decimals": pd.Series([decimal.Decimal("1.5"), None, decimal.Decimal(2), decimal.Decimal("-3.25")] * 10),
    "days": pd.Series([datetime.date(2020, 1, 2), None, datetime.date(9999, 1, 1), datetime.date(1, 1, 1)] * 10),
    "moments": pd.to_datetime(["2020-01-02T03:04:05.678", None, "1999-01-01T00:00:00.1"] * 13 + [None]).tz_localize(
        "UTC"
    ),
    "spans": pd.to_timedelta(["1D", None, "2h", "3s"] * 10),
    "kinds": pd.Categorical(["a", None, "b", "a"] * 10),
    "texts": pd.Series(["ä", None, "", "b"] * 10, dtype="string"),
    "floats": [0.1, np.nan, np.inf, -0.0] * 10,
    "small": np.array([1, 2, 3, 4] * 10, dtype="uint8"),
    "cut": pd.cut([1, np.nan, 3, 4] * 10, 3),
    "intervals": pd.arrays.IntervalArray.from_breaks(range(41)),
    "sparse": pd.arrays.SparseArray([0, 0, 1, 2] * 10),
    "complex": np.array([1 + 2j, 0, 3, 4j] * 10),
    "far decimals": pd.Series([decimal.Decimal("1e30"), None, decimal.Decimal("1e-30"), decimal.Decimal(2)] * 10),
    "mixed kinds": pd.Categorical(["a", 1, None, 2.5] * 10),
    "uuids": pd.Series([uuid.UUID(int=1), None, uuid.UUID(int=2), uuid.UUID(int=3)] * 10),
    "times": pd.Series([datetime.time(1, 2), None, datetime.time(3), datetime.time(4)] * 10),
    "offsets": pd.Series(
        [pd.Timestamp("2020-01-01T00:00+01:00"), None, pd.Timestamp("2020-01-01T00:00+02:00"), 3] * 10
    ),
    "single": pd.Series([{"a": np.float32(1.1)}, [np.int8(3)], np.float32(1.1), None] * 10),
    "sets": pd.Series([{1}, frozenset(["a"]), None, {"b": {2}}] * 10),
    "periods": pd.period_range("2020-01", periods=40, freq="M"),
    "self": pd.Series([1, "a", None, 2.5] * 10, dtype=object),
    "geometry 2": geopandas.GeoSeries([shapely.Point(1, 2)] * 40),
}


@pytest.mark.parametrize("extension", ["mvt", "geojson", "csv", "parquet"])
@pytest.mark.parametrize("name", MIXED)
def test_attributes_of_every_type_come_back(name, extension):
    """To the byte, in every format in which the frame can be written without a block."""
    frame, tile = frame_of({name: MIXED[name]}), under(ABOVE, 1, 0, 1)
    output = Output(formats=(extension,))
    near = stored(frame).cut(tile, output)
    try:
        whole = encode(frame, output, tile, limit=10**7).body
    except (BadResultError, TypeError):
        assert extension in ("csv", "parquet")
        return
    found = encode(near, output, tile, limit=10**7).body
    if extension != "parquet":
        assert found == whole
    else:  # a type of pandas' own may have become objects
        one, other = (geopandas.read_parquet(io.BytesIO(body)) for body in (found, whole))
        assert list(map(str, one[name])) == list(map(str, other[name]))


def test_index_order_and_layers_come_back():
    """Ids are those of the index; of a dict of frames each is a layer."""
    frame = frame_of({"n": range(40)}).set_index(pd.Index(range(1000, 1040)))[::-1]
    tile = under(ABOVE, 2, 1, 1)
    block = stored({"one": frame, "two": frame[:9].to_crs(3857), "none": frame[:0]})
    output = Output(formats=("mvt",))
    whole = {"one": frame, "two": frame[:9].to_crs(3857), "none": frame[:0]}
    found = encode(block.cut(tile, output), output, tile, limit=10**7).body
    assert found == encode(whole, output, tile, limit=10**7).body
    assert found


@given(
    st.integers(0, 6), st.integers(0, 63), st.integers(0, 63), st.integers(0, 4096), st.sampled_from([4326, 3857, 2056])
)
@settings(deadline=None, max_examples=60)
def test_cut_tiles_are_those_of_the_whole_frame(down, column, row, buffer, crs):
    """Byte for byte, with any buffer and reference system."""
    tile = under(ABOVE, down, column % (1 << down), row % (1 << down))
    frame = frame_of({"n": range(40)}).to_crs(crs)
    output = Output(formats=("mvt",), buffer=buffer)
    near = stored(frame).cut(tile, output)
    assert encode(near, output, tile, limit=10**7).body == encode(frame, output, tile, limit=10**7).body


def test_cut_tiles_keep_to_their_budget_as_those_of_the_whole_frame():
    """The same features are left out; a sample says the same of those near the tile."""
    frame, tile = frame_of({"n": range(4000)}, 4000), under(ABOVE, 2, 1, 1)
    output = Output(formats=("mvt",), max_tile_bytes=2000)
    found, whole = (encode(each, output, tile, limit=10**7) for each in (stored(frame).cut(tile, output), frame))
    assert found.body == whole.body
    assert found.changes == whole.changes
    assert "dropped" in found.changes
    layers = lambda found: found["layers"][""]  # noqa: E731
    for result, facts in ((frame, dict), ({"": frame}, layers), ({"one": frame, "": frame}, layers)):
        near = stored(result)
        sampled = encode(near.cut(tile, output), output, tile, limit=10**7, sample=True)
        assert facts(sampled.facts)["count"] == len(stored(frame).cut(tile, CALLED)) < 4000
        assert sampled.body == encode(result, output, tile, limit=10**7).body


def test_features_over_the_meridian_are_on_both_sides():
    """Also those whose longitudes go beyond 180."""
    shapes = [shapely.box(175, 0, 185, 5), shapely.box(-190, 10, -170, 15), shapely.Point(180, 3), None]
    frame = geopandas.GeoDataFrame({"n": range(4)}, geometry=shapes, crs=4326)
    world, output = Tile(0, 0, 0), Output(formats=("mvt",))
    for tile in (Tile(5, 0, 15), Tile(5, 31, 15), Tile(5, 0, 14), Tile(5, 31, 14)):
        found = encode(stored(frame, world).cut(tile, output), output, tile, limit=10**7).body
        assert found == encode(frame, output, tile, limit=10**7).body
        assert found


@needs_data
@pytest.mark.parametrize("name", ["ne_10m_lakes", "ne_10m_rivers_lake_centerlines", "ne_50m_admin_0_countries"])
def test_real_files_are_the_same_with_a_block(name):
    """The world as a block, at zooms 0 to 8: byte for byte."""
    frame = geopandas.read_parquet(DATA / f"{name}.parquet")
    block, output = stored(frame, Tile(0, 0, 0)), Output(formats=("mvt",))
    seen = 0
    for zoom in range(9):
        for longitude, latitude in ((8.5, 47.4), (-75, 46), (25, -1)):
            tile = Tile.at(longitude, latitude, zoom)
            found = encode(block.cut(tile, output), output, tile, limit=10**7).body
            assert found == encode(frame, output, tile, limit=10**7).body
            seen += len(features(gzip.decompress(found), "udf"))
    assert seen > 100


def test_nothing_is_nothing_below_too():
    """None, and a frame without a feature."""
    assert stored(None).cut(under(ABOVE, 1, 0, 0), Output()) is None
    assert len(stored(frame_of({})[:0]).cut(under(ABOVE, 1, 0, 0), Output())) == 0


@pytest.mark.parametrize("result", ["text", {"a": 1}, 3, b"bytes", io.BytesIO(b"x"), pd.DataFrame({"a": [1]})])
def test_no_tile_is_cut_from_anything_else(result):
    """The message says what was returned and what to do."""
    with pytest.raises(BadResultError) as raised:
        blocks.draw(result)
    assert "from which no tile can be cut; without block_zoom it is" in raised.value.message


def test_other_bytes_are_no_block():
    """Nor is the beginning of another, or what an earlier server wrote."""
    for body in (b"", b"TSB", b"PNG1" + bytes(100), b"TSB1" + blocks.draw(noise(9, 9)).body[4:]):
        with pytest.raises(ValueError, match="this is no block"):
            Block(body, ABOVE)
