"""Formats: extension, media type and the kinds of result that can be written so."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a UDF returns."""

    RASTER = "raster"
    VECTOR = "vector"
    TABLE = "table"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a body is written."""

    name: str
    """The canonical extension, as in `png`."""
    media_type: str
    """What `Content-Type` says."""
    kinds: frozenset[Kind]
    """The kinds of result that can be written so."""
    gzipped: bool = False
    """Text and vector tiles are stored gzipped; the others are compressed already."""
    tiled: bool = True
    """False where the format has no use as a tile."""
    aliases: tuple[str, ...] = ()
    """Other extensions with the same meaning."""


@dataclass(frozen=True, slots=True)
class Response:
    """A body that a UDF made by itself: sent as it is. Only the media type can be set, no header and no status."""

    body: bytes
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not isinstance(self.body, (bytes, bytearray, memoryview)):
            raise TypeError(f"a Response's body is bytes, not {type(self.body).__name__}")
        if not is_media_type(self.media_type):
            raise ValueError(f"{self.media_type!r:.100} is not a media type, as 'text/html'")


_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}(?:;[ -~]{0,200})?", re.ASCII)


def is_media_type(text: object) -> bool:
    """Whether a text can be sent as Content-Type: a type, a subtype, perhaps parameters, no control characters."""
    return isinstance(text, str) and _MEDIA_TYPE.fullmatch(text) is not None


_R, _V, _T, _D = Kind.RASTER, Kind.VECTOR, Kind.TABLE, Kind.DOCUMENT


def _format(name: str, media_type: str, *kinds: Kind, gzipped: bool = False, aliases: tuple[str, ...] = ()) -> Format:
    return Format(name=name, media_type=media_type, kinds=frozenset(kinds), gzipped=gzipped, aliases=aliases)


ALL: Final = (
    _format("png", "image/png", _R, _D),
    _format("jpg", "image/jpeg", _R, _D, aliases=("jpeg",)),
    _format("webp", "image/webp", _R, _D),
    _format("mvt", "application/vnd.mapbox-vector-tile", _V, gzipped=True, aliases=("pbf",)),
    _format("geojson", "application/geo+json", _V, gzipped=True),
    _format("parquet", "application/vnd.apache.parquet", _V, _T),
    _format("csv", "text/csv; charset=utf-8", _V, _T, gzipped=True),
    _format("json", "application/json", _V, _T, _D, gzipped=True),
    _format("html", "text/html; charset=utf-8", _D, gzipped=True, aliases=("htm",)),
    _format("txt", "text/plain; charset=utf-8", _D, gzipped=True),
)

FORMATS: Final[dict[str, Format]] = {name: fmt for fmt in ALL for name in (fmt.name, *fmt.aliases)}
"""By every extension, canonical or alias."""

TILE_DEFAULTS: Final = {_R: "png", _V: "mvt", _T: "json"}
FILE_DEFAULTS: Final = {_R: "png", _V: "geojson", _T: "parquet"}
"""By kind. A document has no default: what the UDF made says it."""


def possible(kind: Kind) -> list[str]:
    """Canonical names of the formats that can be made of a result of this kind, the usual one first."""
    return [fmt.name for fmt in ALL if kind in fmt.kinds]
