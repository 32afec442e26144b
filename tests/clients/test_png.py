"""Our PNG files in Chromium's decoder: every pixel is what was written."""

import base64

import numpy as np
import pytest
from numpy.typing import NDArray
from tabs import Tab

from tileserver.encode import png
from tileserver.encode.palette import Indexed

DECODE = """async text => {
  const file = await (await fetch("data:image/png;base64," + text)).blob();
  const plain = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, plain);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const gl = canvas.getContext("webgl2");
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const pixels = new Uint8Array(bitmap.width * bitmap.height * 4);
  gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return [bitmap.height, bitmap.width, Array.from(pixels)];
}"""

RANDOM = np.random.default_rng(1)
SHAPE = (31, 57)
FEW = RANDOM.integers(0, 256, (9, 4), np.uint8)
MANY = RANDOM.integers(0, 256, (256, 4), np.uint8)


def rgba(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width, 4) of one to four channels."""
    colour = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return np.concatenate([colour, alpha], axis=2)


@pytest.mark.slow
@pytest.mark.parametrize("smallest", [False, True])
def test_every_pixel_is_what_was_written(tab: Tab, smallest: bool) -> None:
    """Of one to four channels, of palettes of few and many colours, and of one colour."""
    numbers = {len(each): RANDOM.integers(0, len(each), SHAPE).astype(np.uint8) for each in (FEW, MANY)}
    images = [(each, rgba(each)) for each in (RANDOM.integers(0, 256, (*SHAPE, n), np.uint8) for n in (1, 2, 3, 4))]
    images += [(each, rgba(each)) for each in (np.full((*SHAPE, 4), 7, np.uint8), RANDOM.choice(FEW, SHAPE))]
    palettes = [(Indexed(numbers[len(each)], each, steps), each) for each in (FEW, MANY) for steps in (False, True)]
    for image, expected in [*images, *((image, each[image.numbers]) for image, each in palettes)]:
        text = base64.b64encode(png.encode(image, smallest=smallest)).decode()
        height, width, found = tab.page.evaluate(DECODE, text)
        assert np.array_equal(np.array(found, np.uint8).reshape(height, width, 4), expected)
