"""What the UDF made by itself: text, data, pictures and ready bodies."""

import io
from typing import Any, Final

import numpy as np

from tileserver.encode import image
from tileserver.encode.drawn import Drawn, not_possible
from tileserver.encode.kinds import is_a
from tileserver.errors import BadResultError, FormatNotPossibleError
from tileserver.formats import Response
from tileserver.jobs import Output

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def draw(result: Any, output: Output) -> Drawn:
    """A document: str as html or txt, data as JSON, pictures as png, jpg or webp, bytes and `Response` as they are.

    Only bodies that the UDF wrote itself are `authored`: text, bytes and `Response`.

    Raises:
        BadResultError: data that JSON cannot express.
        FormatNotPossibleError: another format was asked for.
    """
    if isinstance(result, Response):
        return Drawn(body=bytes(result.body), media_type=result.media_type, authored=True)
    if isinstance(result, (bytes, bytearray, memoryview)):
        body = bytes(result)
        return Drawn(body=body, media_type=media_type(body), authored=True)
    if isinstance(result, str):
        return _text(result, _format("text", output, "html", "txt", "json"))
    if is_a(result, "PIL.Image", "Image") or is_a(result, "matplotlib.figure", "Figure"):
        name = _format("picture", output, "png", "jpg", "webp")
        return Drawn.of(name, image.encode(_pixels(result), name, output))
    return Drawn.of(_format("data", output, "json"), _json(result))


def media_type(body: bytes) -> str:
    """The media type of PNG, JPEG, GIF, WebP and PDF by their first bytes; else `application/octet-stream`."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _MAGIC if body.startswith(magic)), "application/octet-stream")


def _format(what: str, output: Output, *names: str) -> str:
    name = output.format or names[0]
    if name not in names:
        raise FormatNotPossibleError(not_possible(what, name, list(names)))
    return name


def _text(text: str, name: str) -> Drawn:
    if name == "json":
        return Drawn.of(name, _json(text))
    return Drawn.of(name, text.encode("utf-8", "replace"), authored=True)


def _json(value: Any) -> bytes:
    from tileserver.encode.table import dumps

    try:
        return dumps(value)
    except TypeError as error:
        raise BadResultError(f"the function's {type(value).__name__} cannot be written as JSON: {error}") from error


def _pixels(picture: Any) -> Any:
    """(height, width, 4) of uint8."""
    from PIL import Image

    if is_a(picture, "matplotlib.figure", "Figure"):
        stream = io.BytesIO()
        picture.savefig(stream, format="png")
        picture = Image.open(stream)
    if not all(picture.size):
        raise BadResultError(f"the function returned a picture of {picture.width} x {picture.height} pixels")
    return np.asarray(picture.convert("RGBA"))
