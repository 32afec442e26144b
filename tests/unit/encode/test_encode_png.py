"""PNG against Pillow's decoder, GDAL's for 16 bits, and pngcheck."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tileserver.encode import png
from tileserver.encode.palette import Indexed

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
SHAPES = st.tuples(array_shapes(min_dims=2, max_dims=2, max_side=40), st.sampled_from([1, 2, 3, 4])).map(
    lambda parts: (*parts[0], parts[1])
)
FEW = st.sampled_from([0, 1, 90, 255])
PIXELS = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape) | arrays(np.uint8, shape, elements=FEW))


def rgba(pixels):
    """(height, width, 4) of one to four channels."""
    grey = pixels.shape[2] < 3
    colour = np.repeat(pixels[..., :1], 3, axis=2) if grey else pixels[..., :3]
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return np.concatenate([colour, alpha], axis=2)


def decoded(body):
    """RGBA, as Pillow reads it."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


@given(PIXELS, st.booleans())
@settings(deadline=None)
def test_pixels_come_back(pixels, smallest):
    """What Pillow decodes is what was written, whatever became of alpha and colours on the way."""
    assert np.array_equal(decoded(png.encode(pixels, smallest=smallest)), rgba(pixels))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@given(SHAPES.flatmap(lambda shape: arrays(np.uint16, shape)), st.booleans())
@settings(deadline=None)
def test_sixteen_bits_come_back(pixels, smallest):
    """So they do with 16 bits, of which GDAL reads every one."""
    with rasterio.MemoryFile(png.encode(pixels, smallest=smallest), ext=".png") as file, file.open() as found:
        bands = np.moveaxis(found.read(), 0, -1)
    if bands.shape != pixels.shape:
        assert (pixels[..., -1] == 65535).all()
        pixels = pixels[..., :-1]
    assert np.array_equal(bands, pixels)


@given(st.integers(1, 256), array_shapes(min_dims=2, max_dims=2, max_side=40), st.booleans(), st.data())
@settings(deadline=None)
def test_palettes_come_back(count, shape, steps, data):
    """One to 256 colours, some of them transparent, in as few bits as hold their numbers."""
    colours = data.draw(arrays(np.uint8, (count, 4)))
    numbers = data.draw(arrays(np.uint8, shape, elements=st.integers(0, count - 1)))
    body = png.encode(Indexed(numbers, colours, steps))
    assert body[24] == next(bits for bits in (1, 2, 4, 8) if np.ptp(numbers) < 1 << bits)
    assert np.array_equal(decoded(body), colours[numbers])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_are_modes(channels):
    """One to four channels are grey, grey with alpha, RGB and RGBA where there are many colours."""
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, channels), np.uint8)
    assert Image.open(io.BytesIO(png.encode(pixels))).mode == MODES[channels]


def test_few_colours_have_a_palette():
    """And opaque ones no list of transparency."""
    pixels = np.zeros((256, 256, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[40:90, 20:200] = 1, 2, 3, 255
    body = png.encode(pixels)
    assert Image.open(io.BytesIO(body)).mode == "P"
    assert b"tRNS" not in body
    assert len(body) < 300
    pixels[100:110, 20:200, 3] = 128
    assert np.array_equal(decoded(png.encode(pixels)), pixels)


@pytest.mark.parametrize(
    ("colours", "late"),
    [
        ([(0, 0, 0, 0), (20, 80, 200, 90), (20, 80, 200, 255)], []),
        ([(20, 80, 200, 90), (20, 80, 200, 255), (21, 80, 200, 0)], []),
        ([(0, 0, 0, 0), (0, 9, 0, 0), (5, 0, 0, 0)], []),
        ([(1, 1, 1, 1), (1, 2, 1, 2), (2, 1, 1, 2), (2, 2, 1, 1)], []),
        ([(20, 80, 200, value) for value in range(256)], []),
        ([(20, value // 2, 200, value) for value in range(100, 256, 3)], [(20, 50, 200, 99)]),
        ([(20, 80, 200, value) for value in range(40)], [(30, 80, 200, 7)]),
        ([(0, 0, 0, 0), *((value, 80, 200, 255) for value in range(60, 200, 2))], []),
        ([(0, 0, 0, 0), (20, 80, 200, 90)], [(30, 80, 200, 90)]),
        ([(0, 0, 0, 0), (20, 80, 200, 90)], [(30, 80, 200, value) for value in range(255)]),
        ([(0, 0, 0, 0), (20, 80, 200, 90)], [(30, value, 200, 1) for value in range(254)]),
    ],
    ids=[
        "by alpha",
        "nothing is 0",
        "by two channels",
        "by none",
        "by all of alpha",
        "by some of alpha",
        "by alpha but for one",
        "by some of red",
        "one comes late",
        "257 of them",
        "256 of them",
    ],
)
@pytest.mark.parametrize("share", [0.75, 0.1], ids=["many", "few"])
def test_runs_of_few_colours(colours, late, share):
    """However many there are, how ever they can be told apart, and wherever a colour comes first: its number is its
    own."""
    changes = np.random.default_rng(1).random((256, 128)) < share
    rows = changes.cumsum().reshape(256, 128) % len(colours)
    pixels = np.array(colours, np.uint8)[rows].repeat(2, axis=1)
    pixels[-1, : len(late)] = np.array(late, np.uint8).reshape(-1, 4)[: pixels.shape[1]]
    body = png.encode(pixels)
    assert np.array_equal(decoded(body), pixels)
    assert (Image.open(io.BytesIO(body)).mode == "P") == (len(colours) + len(late) <= 256)


def test_numbers_that_no_colour_has_are_opaque():
    """And take no room in the list of transparency, of which there is as much as there are colours that are not."""
    rows = np.random.default_rng(1).random((256, 256)).cumsum().reshape(256, 256) // 5 % 100
    shades = rows.astype(np.uint8)[..., np.newaxis] + np.array([100, 0, 0, 0], np.uint8)
    shades[..., 1:] = 90, 0, 255
    shades[:, :20] = 0
    body = png.encode(shades)
    at = body.index(b"tRNS")
    assert body[at - 4 : at] == bytes([0, 0, 0, 1])
    assert np.array_equal(decoded(body), shades)


def test_grey_of_more_than_a_few_has_no_palette():
    """Which takes more room than it saves, also where the first pixels are of a few."""
    pixels = np.arange(256 * 256).reshape(256, 256, 1).astype(np.uint8) % 17
    assert Image.open(io.BytesIO(png.encode(pixels, smallest=True))).mode == "L"
    assert Image.open(io.BytesIO(png.encode(pixels % 16, smallest=True))).mode == "P"
    pixels[:16] %= 16
    assert Image.open(io.BytesIO(png.encode(pixels, smallest=True))).mode == "L"


def test_smallest_is_smaller():
    """Than what is quick, for a picture that changes smoothly."""
    y, x = np.indices((200, 200))
    pixels = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    assert len(png.encode(pixels, smallest=True)) < len(png.encode(pixels)) / 2


def test_window_is_narrow_in_noise_only():
    """What is alike in noise is so by chance; elsewhere a picture may repeat what is many rows above."""
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    bars = np.repeat(noise[:, ::32], 32, axis=1)
    windows = [1 << (body[body.index(b"IDAT") + 4] >> 4) + 8 for body in (png.encode(noise), png.encode(bars))]
    assert windows == [1 << 10, 1 << 15]
    tiled = np.tile(bars[:32], (8, 1, 1))
    assert len(png.encode(tiled)) < len(png.encode(bars)) / 3


@given(SHAPES, st.tuples(*[st.integers(0, 255)] * 4))
def test_one_colour_is_written_once(shape, colour):
    """A picture of one colour is the same bytes whether it has a palette or not, found by size and colour."""
    pixels = np.broadcast_to(np.array(colour[: shape[2]], np.uint8), shape)
    body = png.encode(pixels)
    assert np.array_equal(decoded(body), rgba(pixels))
    if shape[2] == 4:
        assert png.encode(Indexed(np.full(shape[:2], 1, np.uint8), np.array([[9] * 4, colour], np.uint8))) is body
        assert png.encode(pixels[::-1]) is body


def test_opaque_pixels_have_no_alpha():
    """RGBA is RGB and grey with alpha is grey, of 8 and 16 bits."""
    random = np.random.default_rng(1)
    for dtype, channels in ((np.uint8, 2), (np.uint8, 4), (np.uint16, 2), (np.uint16, 4)):
        pixels = random.integers(0, np.iinfo(dtype).max, (64, 64, channels), dtype)
        pixels[..., -1] = np.iinfo(dtype).max
        assert png.encode(pixels)[25] == (0 if channels == 2 else 2)
        pixels[0, 0, -1] -= 1
        assert png.encode(pixels)[25] == (4 if channels == 2 else 6)


def test_blank_is_transparent_and_small():
    """A blank image has no opaque pixel and next to no bytes."""
    body = png.blank(256, 256)
    assert len(body) < 200
    image = Image.open(io.BytesIO(body)).convert("RGBA")
    assert image.size == (256, 256) and not np.asarray(image)[..., 3].any()


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 2)), "not an image"),
        (np.zeros((0, 2, 3), np.uint8), "has no pixel"),
        (np.zeros((2, 2, 5), np.uint8), "not an image"),
    ],
)
def test_other_arrays_are_refused(array, sentence):
    """Neither other types nor shapes nor nothing."""
    with pytest.raises(ValueError, match=sentence):
        png.encode(array)


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="pngcheck is not installed")
def test_pngcheck_finds_no_fault(tmp_path):
    """In a file of each sort."""
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (33, 57, channels), np.uint8) for channels in (1, 2, 3, 4)]
    images += [random.integers(0, 65536, (33, 57, channels), np.uint16) for channels in (1, 2, 3, 4)]
    for count in (2, 3, 9, 200):
        colours = random.integers(0, 256, (count, 4), np.uint8)
        images.append(Indexed(random.integers(0, count, (33, 57), np.uint8), colours))
    for at, image in enumerate(images):
        for smallest in (False, True):
            (tmp_path / f"{at}-{smallest}.png").write_bytes(png.encode(image, smallest=smallest))
    checked = subprocess.run(["pngcheck", "-q", *tmp_path.glob("*.png")], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
