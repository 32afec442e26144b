"""Results to bytes, in the worker: raster, vector, table and document, each with its formats."""

import io
from typing import TYPE_CHECKING, Final

import msgspec
from isal import igzip

from tileserver.encode.drawn import Drawn, chosen
from tileserver.encode.kinds import is_layers, kind_of
from tileserver.errors import ResultTooLargeError
from tileserver.formats import FILE_DEFAULTS, FORMATS, PICTURES, POSSIBLE, TILE_DEFAULTS, Kind
from tileserver.jobs import Output, Rendered

if TYPE_CHECKING:
    from tileserver.tiles import Tile

__all__ = ["encode"]


def encode(result: object, output: Output, tile: "Tile | None", *, limit: int, sample: bool = False) -> Rendered:
    """What a UDF returned, as a body with its media type, format and coding.

    Args:
        result: What the function returned; DESIGN's table says what that may be.
        output: The formats in order of preference, and how it shall look.
        tile: The tile that is asked for; None for a file.
        limit: Bytes that the body may have, after compression.
        sample: Whether `facts` are wanted; see `encode.facts`.

    Raises:
        BadResultError: the result is nothing that can be served.
        FormatNotPossibleError: the result cannot be written in any of the formats.
        InvalidParameterError: a part of `output` does not fit the result.
        ResultTooLargeError: the body is above `limit`, or a vector tile above `output.max_tile_bytes`.
    """
    if isinstance(result, io.BytesIO):
        result = result.getvalue()
    if output.exchange:
        from tileserver.encode import exchange

        return _rendered(exchange.draw(result), "", limit)
    if output.block:
        from tileserver.encode import blocks

        return _rendered(blocks.draw(result, output), "" if result is None else str(kind_of(result)), limit)
    if result is None:
        return _rendered(_nothing(output), "", limit)
    if not output.formats:
        output = msgspec.structs.replace(output, formats=TILE_DEFAULTS if output.tiled else FILE_DEFAULTS)
    kind = kind_of(result)
    return _rendered(_draw(kind, result, output, tile, sample), str(kind), limit)


def _draw(kind: Kind, result: object, output: Output, tile: "Tile | None", sample: bool) -> Drawn:
    """The libraries that a kind needs are loaded by its first result."""
    if kind is Kind.DOCUMENT:
        return _document(result, output)
    if is_layers(result) and "mvt" not in output.formats:
        return _document(result, output)
    name = chosen(kind, output.formats, POSSIBLE[kind])
    if kind is Kind.RASTER:
        return _raster(result, name, output, tile, sample)
    if kind is Kind.VECTOR:
        from tileserver.encode import vector

        return vector.draw(result, name, output, tile, sample=sample)
    from tileserver.encode import table

    return table.draw(result, name, output, sample=sample)


def _document(result: object, output: Output) -> Drawn:
    from tileserver.encode import document

    return document.draw(result, output, _part)


def _raster(result: object, name: str, output: Output, tile: "Tile | None", sample: bool) -> Drawn:
    """A picture, a page with one, or the values themselves: npy, which yields to tiff where it would lose something."""
    from tileserver.encode import geotiff, npy, page, raster

    if name == "npy" and ("tiff" not in output.formats or npy.keeps(result)):
        return npy.draw(result)
    if name in ("npy", "tiff"):
        return geotiff.draw(result, tile)
    if name == "preview":
        drawn = raster.draw(result, "png", output, tile, sample=sample)
        return Drawn.of(name, page.picture(drawn.body), **drawn.facts)
    return raster.draw(result, name, output, tile, sample=sample)


def _part(result: object) -> Drawn:
    """One of the results in a dict, in its own best format."""
    if result is None:
        return _nothing(_PART)
    return _draw(kind_of(result), result, _PART, None, sample=False)


_PART: Final = Output(formats=("npy", "tiff", "parquet", "json", "png"), tiled=False)


def _nothing(output: Output) -> Drawn:
    """The empty answer in the format that says so."""
    name = output.blank
    body, media_type = b"", FORMATS[name].media_type if name else "application/json"
    if name in PICTURES:
        from tileserver.encode import image

        body = image.blank(name, output)
    elif name in ("parquet", "feather", "excel", "preview"):
        from tileserver.encode import table

        body = table.empty(name)
    elif name == "geojson":
        body = b'{"type":"FeatureCollection","features":[]}'
    elif name == "json":
        body = b"[]"
    return Drawn(body=body, format=name, media_type=media_type, empty=True)


def _rendered(drawn: Drawn, kind: str, limit: int) -> Rendered:
    gzipped = bool(drawn.body) and drawn.format in FORMATS and FORMATS[drawn.format].gzipped
    if gzipped:
        # no time in the header: equal results have equal bytes, and with them equal ETags
        drawn = msgspec.structs.replace(drawn, body=igzip.compress(drawn.body, 1, mtime=0))
    if len(drawn.body) > limit:
        raise ResultTooLargeError(f"the answer is {len(drawn.body):,} bytes; at most {limit:,} may be sent")
    return Rendered(
        body=drawn.body,
        media_type=drawn.media_type,
        kind=kind,
        format=drawn.format,
        coding="gzip" if gzipped else "",
        empty=drawn.empty,
        authored=drawn.authored,
        changes=drawn.changes,
        facts=drawn.facts,
    )
