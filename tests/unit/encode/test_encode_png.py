"""PNG against Pillow's decoder."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tileserver.encode import png

SHAPES = st.tuples(array_shapes(min_dims=2, max_dims=2, max_side=40), st.sampled_from([1, 2, 3, 4])).map(
    lambda parts: (*parts[0], parts[1])
)


def decoded(body):
    """The pixels of a PNG, (height, width, channels)."""
    image = np.asarray(Image.open(io.BytesIO(body)))
    return image if image.ndim == 3 else image[..., np.newaxis]


@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_pixels_come_back(pixels):
    """What Pillow decodes is what was written; alpha goes only where all is opaque."""
    found = decoded(png.encode(pixels))
    if found.shape != pixels.shape:
        assert (pixels[..., -1] == 255).all()
        pixels = pixels[..., :-1]
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_channels_are_modes(channels, mode):
    """One to four channels are grey, grey with alpha, RGB and RGBA."""
    assert Image.open(io.BytesIO(png.encode(np.zeros((3, 5, channels), np.uint8)))).mode == mode


def test_blank_is_transparent_and_small():
    """A blank image has no opaque pixel and next to no bytes."""
    body = png.blank(256, 256)
    assert len(body) < 200
    image = Image.open(io.BytesIO(body)).convert("RGBA")
    assert image.size == (256, 256) and not np.asarray(image)[..., 3].any()


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2, 5), np.uint8)])
def test_other_arrays_are_refused(array):
    """Neither other types nor shapes nor nothing."""
    with pytest.raises(ValueError, match="not an image"):
        png.encode(array)
