"""Answers where a UDF covers nothing: made here, without a worker."""

import io
from functools import lru_cache

from PIL import Image

from tileserver.formats import FORMATS, PICTURES
from tileserver.layers import Layer
from tileserver.tilecache import Entry, Facts, etag

_TEXTS = {"geojson": b'{"type":"FeatureCollection","features":[]}', "json": b"[]"}


def blank(layer: Layer, now: float) -> Entry:
    """The empty answer for a tile outside the UDF's zooms or bounds: fresh, and stored nowhere."""
    name = layer.output.blank
    body = _image(name, layer.output.size, layer.output.background) if _is_image(name) else _TEXTS.get(name, b"")
    media_type = FORMATS[name].media_type if name else "application/json"
    facts = Facts(
        media_type=media_type,
        coding="",
        etag=etag(body),
        created=now,
        epoch=layer.grant.epoch,
        empty=True,
    )
    return Entry(facts=facts, body=body)


def _is_image(name: str) -> bool:
    return name in PICTURES


@lru_cache(64)
def _image(name: str, size: int, background: str) -> bytes:
    """A transparent square; JPEG has no transparency and takes the background's colour."""
    stream = io.BytesIO()
    if name == "jpg":
        Image.new("RGB", (size, size), background).save(stream, "JPEG")
    elif name != "png":
        Image.new("RGBA", (size, size)).save(stream, name, lossless=True)
    else:
        palette = Image.new("P", (size, size))
        palette.putpalette([0, 0, 0])
        palette.save(stream, "PNG", transparency=0, bits=1, optimize=True)
    return stream.getvalue()
