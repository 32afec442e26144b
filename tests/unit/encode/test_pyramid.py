"""Smaller arrays of a raster: GDAL's values, and those of the pixels that are there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.warp import reproject

from tileserver.encode import pyramid

DTYPES = ["bool", "int8", "uint8", ">i2", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", ">f8"]
INSIDE = np.s_[:, 4:-4, 4:-4]
"""Beside edges the warper counts other neighbours."""
METHODS = ["nearest", "bilinear", "cubic", "average", "mode"]


def noise(*shape, dtype="float64"):
    return np.random.default_rng(2).integers(0, 120, shape).astype(dtype)


def smaller(bands, method, level=1):
    return pyramid.levels(np.ma.MaskedArray(bands), method, 256)[level]


def warped(bands, side, method):
    """As GDAL's warper has it, band by band."""
    made = np.full((len(bands), side, side), np.nan)
    for band, one in zip(bands, made, strict=True):
        reproject(
            np.ma.filled(band.astype("float64"), np.nan),
            one,
            src_transform=from_bounds(0, 0, 1, 1, *bands.shape[:0:-1]),
            src_crs="EPSG:3857",
            src_nodata=np.nan,
            dst_transform=from_bounds(0, 0, 1, 1, side, side),
            dst_crs="EPSG:3857",
            dst_nodata=np.nan,
            resampling=Resampling[method],
        )
    return made


@given(st.integers(1, 1300), st.integers(1, 1300), st.sampled_from([256, 512]), st.sampled_from(["nearest", "mode"]))
@settings(deadline=None, max_examples=40)
def test_sides_are_those_of_whole_tiles(height, width, least, method):
    """As many zooms' as the shorter side has pixels for; each has fewer both ways."""
    first, *others = pyramid.levels(np.ma.MaskedArray(np.zeros((1, height, width), "uint8")), method, least)
    assert first.shape == (1, height, width)
    expected = [side for side in (1024, 512, 256) if least <= side < min(height, width)]
    assert [each.shape for each in others] == [(1, side, side) for side in expected]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_types_and_one_value_stay(dtype, method, masked):
    """Of two bands, the other of which has no value anywhere if any has."""
    bands = np.ma.MaskedArray(np.full((2, 300, 512), 1, dtype))
    if masked:
        bands[1] = np.ma.masked
    (found,) = pyramid.levels(bands, method, 256)[1:]
    assert found.dtype.newbyteorder("=") == bands.dtype.newbyteorder("=")
    assert np.allclose(np.ma.getdata(found[0]), 1, rtol=0, atol=1e-9 if bands.dtype.kind == "f" else 0)
    assert np.ma.getmaskarray(found)[1].all() == masked
    assert not np.ma.getmaskarray(found)[0].any()


@pytest.mark.parametrize("shape", [(1, 512, 512), (2, 600, 512), (1, 511, 700), (1, 2048, 2048)])
def test_nearest_are_gdals_pixels_at_every_level(shape):
    """Those of the whole, not of what was made of it: they do not move from level to level."""
    bands = noise(*shape)
    bands = np.ma.MaskedArray(bands, bands < 20)
    for each in pyramid.levels(bands, "nearest", 256)[1:]:
        assert np.array_equal(np.ma.filled(each, np.nan), warped(bands, each.shape[1], "nearest"), equal_nan=True)


@pytest.mark.parametrize("method", ["average", "bilinear", "cubic", "mode"])
def test_half_a_raster_is_gdals(method):
    """The same neighbours count as where the warper makes it."""
    bands = noise(2, 512, 512)
    found, expected = smaller(bands, method), warped(bands, 256, method)
    assert np.abs(found - expected)[INSIDE].max() <= 1e-9


@pytest.mark.parametrize("method", ["average", "bilinear", "cubic"])
def test_what_is_there_counts_by_its_weight(method):
    """The sums of what is there, by the sums of what it weighs."""
    values = noise(2, 512, 512)
    bands = np.ma.MaskedArray(values, values < 20)
    found, weights = smaller(bands, method), warped((values >= 20).astype(float), 256, method)
    expected = np.ma.MaskedArray(warped(np.where(values < 20, 0, values), 256, method), weights < 1e-6) / weights
    assert np.array_equal(np.ma.getmaskarray(found)[INSIDE], np.ma.getmaskarray(expected)[INSIDE])
    assert np.abs(found - expected)[INSIDE].max() <= 1e-6


def test_whole_numbers_are_rounded_and_cut_off():
    """Cubic runs over at an edge of 0 and 255."""
    bands = np.zeros((1, 512, 512), "uint8")
    bands[:, :, 255:] = 255
    for masked in (bands, np.ma.MaskedArray(bands, noise(1, 512, 512) < 5)):
        found = smaller(masked, "cubic")
        assert (found[:, :, :120] == 0).all()
        assert (found[:, :, 140:] == 255).all()
    checked = np.indices((512, 512)).sum(axis=0, dtype="uint8")[np.newaxis] % 2
    assert set(np.unique(smaller(checked * np.uint8(3), "average"))) == {2}


def test_mode_is_what_is_there_most():
    """A category, never one between two."""
    bands = noise(1, 512, 512, dtype="int32") // 40
    squares = bands[0].reshape(256, 2, 256, 2).swapaxes(1, 2).reshape(256, 256, 4)
    found = np.ma.getdata(smaller(bands, "mode"))[0]
    counts = (squares[..., np.newaxis] == np.arange(3)).sum(axis=2)
    assert np.array_equal(np.take_along_axis(counts, found[..., np.newaxis], 2)[..., 0], counts.max(axis=2))


@given(arrays("bool", (8, 8)), st.sampled_from(METHODS))
@settings(deadline=None, max_examples=60)
def test_a_pixel_is_masked_where_all_that_count_are(hidden, method):
    """Whatever lies under a mask counts for nothing."""
    mask = hidden.repeat(64, axis=0).repeat(64, axis=1)[np.newaxis]
    bands = np.ma.MaskedArray(np.where(mask, 99, 7).astype("uint8"), mask)
    found = smaller(bands, method)
    assert set(np.ma.compressed(found)) <= {7}
    inside = hidden.repeat(32, axis=0).repeat(32, axis=1)
    at = np.indices((256, 256)) % 32
    middle = ((at > 2) & (at < 29)).all(axis=0)
    assert np.array_equal(np.ma.getmaskarray(found)[0][middle], inside[middle])
