"""Results to bytes, in the worker: raster, vector, table and document, each with its formats."""

from typing import TYPE_CHECKING

import msgspec
from isal import igzip

from tileserver.encode.drawn import Drawn, not_possible
from tileserver.encode.kinds import kind_of
from tileserver.errors import FormatNotPossibleError, ResultTooLargeError
from tileserver.formats import FILE_DEFAULTS, FORMATS, TILE_DEFAULTS, Kind, possible
from tileserver.jobs import Output, Rendered

if TYPE_CHECKING:
    from tileserver.tiles import Tile

__all__ = ["encode"]


def encode(result: object, output: Output, tile: "Tile | None", *, limit: int, sample: bool = False) -> Rendered:
    """What a UDF returned, as a body with its media type, format and coding.

    Args:
        result: What the function returned; DESIGN's table says what that may be.
        output: The format and how it shall look.
        tile: The tile that is asked for; None for a file.
        limit: Bytes that the body may have, after compression.
        sample: Whether `facts` are wanted; see `encode.facts`.

    Raises:
        BadResultError: the result is nothing that can be served.
        FormatNotPossibleError: the result cannot be written in the format.
        InvalidParameterError: a part of `output` does not fit the result.
        ResultTooLargeError: the body is above `limit`, or a vector tile above `output.max_tile_bytes`.
    """
    if output.exchange:
        from tileserver.encode import exchange

        return _rendered(exchange.draw(result), "", limit)
    if result is None:
        return _rendered(_nothing(output), "", limit)
    kind = kind_of(result)
    return _rendered(_draw(kind, result, output, tile, sample), str(kind), limit)


def _draw(kind: Kind, result: object, output: Output, tile: "Tile | None", sample: bool) -> Drawn:
    """The libraries that a kind needs are loaded by its first result."""
    if kind is Kind.DOCUMENT:
        from tileserver.encode import document

        return document.draw(result, output)
    name = output.format or (TILE_DEFAULTS if output.tiled else FILE_DEFAULTS)[kind]
    if kind not in FORMATS[name].kinds:
        raise FormatNotPossibleError(not_possible(kind, name, possible(kind)))
    if kind is Kind.RASTER:
        from tileserver.encode import raster

        return raster.draw(result, name, output, tile, sample=sample)
    if kind is Kind.VECTOR:
        from tileserver.encode import vector

        return vector.draw(result, name, output, tile, sample=sample)
    from tileserver.encode import table

    return table.draw(result, name, sample=sample)


def _nothing(output: Output) -> Drawn:
    """The empty answer in the format that was asked for."""
    name = output.format or ""
    body, media_type = b"", FORMATS[name].media_type if name else ""
    if name in ("png", "jpg", "webp"):
        from tileserver.encode import image

        body = image.blank(name, output)
    elif name == "parquet":
        from tileserver.encode import table

        body = table.empty()
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
        facts=drawn.facts,
    )
