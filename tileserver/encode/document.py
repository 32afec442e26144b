"""What the UDF made by itself: text, data, pictures and ready bodies."""

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson

from tileserver.encode import image, page
from tileserver.encode.drawn import Drawn, chosen
from tileserver.encode.kinds import is_a, is_dict_of_parts, is_named
from tileserver.errors import BadResultError
from tileserver.formats import PICTURES, Response
from tileserver.jobs import Output

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def draw(result: Any, output: Output, part: Callable[[object], Drawn]) -> Drawn:
    """A document in the first of the formats asked for that suits it; bytes and `Response` are sent as they are.

    Text is html or txt, data json, a dict of arrays and tables a zip, a picture an image. Who asks for none of
    these gets what else can hold it: text and data as a table of one row (parquet), text as JSON, a picture as its
    pixels (npy, tiff). So the older clients of the hosted API, which always ask for parquet and tiff, can read every
    answer; they would not read JSON (hosted API, section 2.6). Only bodies that the UDF wrote itself are `authored`:
    text, bytes and `Response`.

    Args:
        result: What the function returned.
        output: The formats in order of preference, and how a picture shall look.
        part: Draws one of the results in a dict.

    Raises:
        BadResultError: data that JSON cannot express.
        FormatNotPossibleError: other formats were asked for.
    """
    if isinstance(result, Response):
        return Drawn(body=bytes(result.body), media_type=result.media_type, authored=True)
    if isinstance(result, (bytes, bytearray, memoryview)):
        body = bytes(result)
        return Drawn(body=body, media_type=media_type(body), authored=True)
    if isinstance(result, str):
        return _text(result, chosen("text", output.formats, ("html", "txt", "preview"), ("json",), ("parquet",)))
    if is_a(result, "PIL.Image", "Image") or is_a(result, "matplotlib.figure", "Figure"):
        return _picture(result, chosen("picture", output.formats, (*PICTURES, "preview"), ("tiff", "npy")), output)
    return _data(result, chosen("data", output.formats, *_ranks(result)), part)


def media_type(body: bytes) -> str:
    """The media type of PNG, JPEG, GIF, WebP and PDF by their first bytes; else `application/octet-stream`."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _MAGIC if body.startswith(magic)), "application/octet-stream")


def _ranks(data: Any) -> tuple[tuple[str, ...], ...]:
    """The formats that can hold data, the best first."""
    if is_dict_of_parts(data):
        return ("zip",), ("json", "preview"), ("parquet",)
    return ("json", "preview"), ("parquet", "zip") if is_named(data) else ("parquet",)


def _data(data: Any, name: str, part: Callable[[object], Drawn]) -> Drawn:
    if name == "zip":
        from tileserver.encode import parts

        return Drawn.of(name, parts.zipped({key: part(one) for key, one in data.items()}))
    if name == "preview":
        return Drawn.of(name, page.text(_json(data).decode()))
    return Drawn.of(name, _row(data) if name == "parquet" else _json(data))


def _text(text: str, name: str) -> Drawn:
    if name in ("json", "parquet"):
        return Drawn.of(name, _json(text) if name == "json" else _row(text))
    return Drawn.of(name, text.encode("utf-8", "replace"), authored=True)


def _picture(picture: Any, name: str, output: Output) -> Drawn:
    from tileserver.encode import geotiff, npy

    pixels = _pixels(picture)
    if name in ("tiff", "npy"):
        bands = np.moveaxis(pixels, 2, 0)
        return npy.draw(bands) if name == "npy" else geotiff.draw(bands, None)
    if name == "preview":
        return Drawn.of(name, page.picture(image.encode(pixels, "png", output)))
    return Drawn.of(name, image.encode(pixels, name, output))


def _row(value: Any) -> bytes:
    """A Parquet file of one row: a dict's values by name, else one column `value`; lists and dicts in it are JSON."""
    import pandas as pd

    from tileserver.encode import table

    plain = orjson.loads(_json(value))
    fields = plain if plain and isinstance(plain, dict) else {"value": plain}
    return table.parquet(pd.DataFrame([{name: _cell(field) for name, field in fields.items()}]))


def _cell(field: Any) -> Any:
    return orjson.dumps(field).decode() if isinstance(field, (dict, list)) else field


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
