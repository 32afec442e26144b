"""Pixels to PNG, JPEG, WebP, AVIF or GIF."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from tileserver.encode import png
from tileserver.encode.palette import Indexed
from tileserver.errors import InvalidParameterError
from tileserver.jobs import Output


def encode(pixels: NDArray[np.uint8] | Indexed, name: str, output: Output) -> bytes:
    """An image file in the format `name`: png, jpg, webp, avif, or gif, which has 256 colours and no half transparency.

    Args:
        pixels: (height, width, channels), uint8; 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. Or numbers of colours.
        name: The format's canonical name.
        output: Its `compression` counts for PNG, `quality` for JPEG, WebP and AVIF, `lossless` for WebP, `background`
            for JPEG, which has no transparency.

    Raises:
        InvalidParameterError: `background` is no colour.
    """
    smallest = output.compression == "smallest"
    if name == "png":
        return png.encode(pixels, smallest=smallest)
    picture = _image(pixels.pixels() if isinstance(pixels, Indexed) else pixels)
    stream = io.BytesIO()
    if name == "jpg":
        _opaque(picture, output.background).save(stream, "JPEG", quality=output.quality, optimize=smallest)
    elif name == "webp":
        # method 0: six times faster than the default for a few per cent more bytes
        method = 6 if smallest else 0
        picture.save(stream, "WEBP", quality=output.quality, lossless=output.lossless, method=method, exact=False)
    elif name == "avif":
        picture.save(stream, "AVIF", quality=output.quality, speed=4 if smallest else 10)
    else:
        picture.save(stream, "GIF")
    return stream.getvalue()


def blank(name: str, output: Output) -> bytes:
    """An image of `output.size` squared that is transparent, or the background's colour in JPEG."""
    return encode(Indexed(np.zeros((output.size, output.size), np.uint8), np.zeros((1, 4), np.uint8)), name, output)


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def _opaque(image: Image.Image, background: str) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image
    ground = Image.new("RGBA", image.size, _colour(background))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue, *_ = ImageColor.getrgb(text)
    except ValueError:
        raise InvalidParameterError(f"background={text} is not a colour", parameter="background") from None
    return red, green, blue
