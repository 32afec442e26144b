"""Colours of what a block stretches smoothly: those of its values, but that these are not rounded in between."""

import io

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tileserver.encode import blocks, colormaps, encode
from tileserver.encode.blocks import Block
from tileserver.encode.smooth import Smooth
from tileserver.errors import InvalidParameterError
from tileserver.jobs import Output
from tileserver.tiles import Tile

ABOVE = Tile(4, 8, 5)
TILE = Tile(7, 66, 45)
"""An eighth of it, so that 256 pixels are 32 there."""
RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-500, 3000), "uint16": (0, 40000), "int64": (0, 10**6)}


def noise(dtype, bands, side=256, seed=1):
    """Waves of some pixels' length with noise on them, in the range of `RANGES` or from 0 to 1."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:side, :side]
    waves = [0.5 + 0.4 * np.sin(x / (5 + band)) * np.cos(y / 7) + random.uniform(-0.1, 0.1, x.shape) for band in bands]
    low, high = RANGES.get(dtype, (0, 1))
    return (low + np.stack(waves) * (high - low)).astype(dtype)


def output(**options):
    return Output(**{"formats": ("png",), "resampling": "bilinear", **options})


def pixels(body):
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).astype(int)


def both(result, asked, tile=TILE):
    """The picture of a cut tile, and that of its values: what the function itself would have returned."""
    block = Block(blocks.draw(result).body, ABOVE)
    cut, values = block.cut(tile, asked), block.cut(tile, msgspec.structs.replace(asked, formats=()))
    assert isinstance(cut, Smooth)
    assert not isinstance(values, Smooth)
    return [pixels(encode(each, asked, tile, limit=10**7).body) for each in (cut, values)]


def holes(kind, shape):
    random = np.random.default_rng(3)
    if kind == "shared":
        return np.broadcast_to(random.random(shape[1:]) < 0.3, shape)
    return random.random(shape) < 0.3


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("mask", ["none", "shared", "own"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int64", "float32", "float64"])
def test_colours_are_those_of_the_values(dtype, bands, mask, method):
    """Within a step of each channel, and transparent at the same pixels; also of what is beyond the limits."""
    values = noise(dtype, range(bands))
    result = values if mask == "none" else np.ma.MaskedArray(values, holes(mask, values.shape))
    low, high = RANGES.get(dtype, (0, 1))
    for limits in (None, ((low, high),), ((low + (high - low) * 0.2, low + (high - low) * 0.7),)):
        if dtype in ("uint8", "int8") and limits and limits[0] != (low, high):
            continue  # more than a step for each value: see the next tests
        found, expected = both(result, output(rescale=limits, resampling=method))
        assert np.abs(found - expected).max() <= 1
        assert np.array_equal(found[..., 3] == 0, expected[..., 3] == 0)
        assert bands > 1 or limits is None or found[..., 0].std() > 20


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("mask", ["none", "own"])
def test_steps_of_a_colour_map_are_those_of_the_values(dtype, mask):
    """Those of "binary", from white to black, are one or two apart."""
    values = noise(dtype, [0])
    result = values if mask == "none" else np.ma.MaskedArray(values, holes("own", values.shape))
    found, expected = both(result, output(rescale=(RANGES.get(dtype, (0, 1)),), colormap="binary"))
    apart = np.abs(np.diff(colormaps.read("binary").colours[:, 0].astype(int))).max()
    assert np.abs(found - expected).max() <= apart
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert len(np.unique(found[..., 0])) > 100


def test_a_narrow_range_of_whole_numbers_shows_no_steps():
    """Between 3 and 4 there are colours in between, which values that are whole do not have."""
    values = np.repeat(np.arange(10, dtype="uint8"), 26)[:256] * np.ones((256, 1), "uint8")
    found, expected = both(values, output(rescale=((0, 9),)))
    assert len(np.unique(expected[..., 0])) < 4 < len(np.unique(found[..., 0]))
    assert np.abs(found - expected).max() <= 255 / 9 / 2 + 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_what_is_all_alike_has_one_colour(dtype, method):
    """Sums of single precision are a little off, but no step; cubic ones, of which some weigh little, one by holes."""
    for value in (*range(0, 120, 7), 120):  # of which most are exactly a step, and the last is above all
        values = np.full((1, 96, 96), value, dtype)
        for result in (values, np.ma.MaskedArray(values, holes("own", values.shape))):
            found, expected = both(result, output(rescale=((0, 119),), resampling=method))
            seen = found[found[..., 3] > 0]
            assert np.ptp(seen, axis=0).max() <= (method == "cubic" and result is not values)
            assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("high", [1, 2, 9, 10, 100, 119, 170, 254, 255, 2100])
@pytest.mark.parametrize("low", [0, -7, 3])
@pytest.mark.parametrize("side", [64, 75])
@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_whole_numbers_that_are_all_alike_have_their_own_colour(high, low, side, method):
    """It is that of the tiles that are not stretched; one step off may be another class of a colour map."""
    for value in (low, low + 1, low + high // 3, low + high // 2, low + high - 1, low + high, low + high + 1):
        values = np.full((1, side, side), value, "int16")
        for asked in (output(), output(colormap="tab10")):
            asked = msgspec.structs.replace(asked, rescale=((low, low + high),), resampling=method)
            found, expected = both(values, asked)
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "uint16"])
@pytest.mark.parametrize("mask", ["none", "own"])
def test_cubic_sums_stay_in_the_types_range(dtype, mask):
    """Where the range is wider than that; of bands with ranges of their own, too."""
    ends = np.iinfo(dtype)
    values = np.where(noise("uint8", range(3)) > 128, ends.max, ends.min).astype(dtype)
    result = values if mask == "none" else np.ma.MaskedArray(values, holes("own", values.shape))
    over = (ends.max - ends.min) / 2
    for limits in (((ends.min - over, ends.max + over),), tuple((ends.min - over * at, ends.max) for at in range(3))):
        found, expected = both(result, output(rescale=limits, resampling="cubic"))
        assert np.abs(found - expected).max() <= 1


def test_a_colour_map_with_values_needs_no_range():
    """Those of other bands do not matter to it."""
    asked = output(
        colormap='[[0, "#000000"], [1, "#ffffff"]]', bands=(1,), rescale=((0.0, 1.0), (0.0, 2.0), (0.0, 3.0))
    )
    found, expected = both(noise("float32", range(3)), asked)
    assert np.array_equal(found, expected)


@given(
    st.lists(st.floats(width=32), min_size=4, max_size=4),
    st.sampled_from([(0.0, 1.0), (-1e-20, 1e-20), (1e6, 1e6 + 2), (-3e29, 3e29)]),
    st.sampled_from(["bilinear", "cubic"]),
)
@settings(deadline=None, max_examples=150)
def test_extreme_values_stay_in_their_place(extremes, limits, method):
    """Neither a warning nor another colour where they do not reach; NaN and infinite ones are no values."""
    low, high = limits
    values = np.full((1, 64, 64), low + (high - low) / 2, "float32")
    values[0, 12, 2:10:2] = extremes
    found, expected = both(values, output(rescale=(limits,), resampling=method), Tile(6, 32, 20))
    assert (found[:140] == (127, 127, 127, 255)).all()
    assert np.array_equal(found[..., 3] == 0, expected[..., 3] == 0)


@pytest.mark.parametrize("limits", [(1e6, 1e6 + 2), (0.0, 1e-35), (273.15, 273.25)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_narrow_limits_are_told_apart(dtype, limits):
    """Where single precision of the numbers as they are would not do, too."""
    low, high = limits
    values = (low + np.linspace(0, 1, 256 * 256).reshape(1, 256, 256) * (high - low)).astype(dtype)
    found, _ = both(values, output(rescale=(limits,)))
    _, expected = both(values.astype("float64"), output(rescale=(limits,)))
    assert np.abs(found - expected).max() <= 1


def test_bands_are_chosen_before_they_are_stretched():
    values = noise("uint8", range(5))
    for bands in ((4,), (5, 1, 2), (2, 2, 3, 1)):
        found, expected = both(values, output(bands=bands))
        assert np.abs(found - expected).max() <= 1
    mask = np.ma.MaskedArray(values, holes("own", values.shape))
    found, expected = both(mask, output(bands=(5, 1, 2)))
    assert np.abs(found - expected).max() <= 1
    assert np.array_equal(found[..., 3], expected[..., 3])


@pytest.mark.parametrize(
    "options",
    [
        {"gamma": 2.2},
        {"colormap": "terrain", "gamma": 2.2, "bands": (1,)},
        {"colormap": '{"0": "#000000", "1": "#ff0000"}', "bands": (1,)},
        {"colormap": '[[0, "#000000"], [0.5, "#00ff00"], [1, "#ffffff"]]', "bands": (1,)},
        {"rescale": ((0.0, 1e-40),)},
    ],
)
def test_what_is_more_than_a_range_has_the_values_colours(options):
    found, expected = both(noise("float32", range(3)), output(**options))
    assert np.array_equal(found, expected)


def test_flags_stay_flags():
    found, expected = both(noise("uint8", [0]) > 120, output())
    assert np.array_equal(found, expected)
    assert set(np.unique(found)) == {0, 255}


@pytest.mark.parametrize(
    "options",
    [
        {"bands": (4,)},
        {"bands": ()},
        {"colormap": "terrain"},
        {"colormap": "terrain", "rescale": ((0, 1), (0, 1))},
        {"colormap": "nope", "bands": (1,)},
        {"rescale": ((1, 0),)},
        {"rescale": ((0, 1), (0, 1))},
        {"rescale": ((0, float("nan")),)},
    ],
)
def test_what_does_not_fit_is_refused_in_the_same_words(options):
    block, asked = Block(blocks.draw(noise("float32", range(3))).body, ABOVE), output(**options)
    said = []
    for result in (block.cut(TILE, asked), block.cut(TILE, output(formats=()))):
        with pytest.raises(InvalidParameterError) as raised:
            encode(result, asked, TILE, limit=10**7)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_a_sample_says_the_same():
    values, asked = noise("int16", [0]), output(colormap="terrain", rescale=((0, 2000),))
    block = Block(blocks.draw(values).body, ABOVE)
    facts = [
        encode(result, asked, TILE, limit=10**7, sample=True).facts
        for result in (block.cut(TILE, asked), block.cut(TILE, output(formats=())))
    ]
    assert facts[0] == facts[1]
    assert (facts[0]["dtype"], facts[0]["bands"]) == ("int16", 1)


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_quarters_are_the_whole(method):
    """Four tiles are within a step the picture of the tile above them at twice its size: there is no seam."""
    values = np.ma.masked_less(noise("float32", range(3), side=96), 0.2)
    block, asked = Block(blocks.draw(values).body, ABOVE), output(resampling=method)
    big = msgspec.structs.replace(asked, size=512)
    above = Tile(7, 66, 45, size=512)
    whole = pixels(encode(block.cut(above, big), big, above, limit=10**7).body)
    for x in (0, 1):
        for y in (0, 1):
            tile = Tile(8, 132 + x, 90 + y)
            quarter = pixels(encode(block.cut(tile, asked), asked, tile, limit=10**7).body)
            assert np.abs(quarter - whole[y * 256 :][:256, x * 256 :][:, :256]).max() <= 1


@pytest.mark.parametrize("name", ["webp", "jpg", "gif", "avif", "preview"])
def test_every_picture_is_made_of_sums(name):
    block = Block(blocks.draw(noise("uint8", range(3))).body, ABOVE)
    cut = block.cut(TILE, output(formats=("mvt", name, "json")))
    assert isinstance(cut, Smooth)
    assert encode(cut, output(formats=(name,)), TILE, limit=10**7).format == name


@pytest.mark.parametrize("names", [("npy",), ("tiff", "png"), ("json", "npy", "png"), ()])
def test_values_are_values(names):
    values = noise("uint8", range(3))
    cut = Block(blocks.draw(values).body, ABOVE).cut(TILE, output(formats=names))
    assert (cut.dtype, cut.shape) == (np.uint8, (3, 256, 256))
