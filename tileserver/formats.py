"""Formats: extension, media type and the kinds of result that can be written so."""

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
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


PREVIEW: Final = "preview"
"""What a browser gets of a file where nobody asks for a format: a page that shows it (hosted API, section 3.5)."""
_R, _V, _T, _D = Kind.RASTER, Kind.VECTOR, Kind.TABLE, Kind.DOCUMENT


def _format(name: str, media_type: str, *kinds: Kind, gzipped: bool = False, aliases: tuple[str, ...] = ()) -> Format:
    return Format(name=name, media_type=media_type, kinds=frozenset(kinds), gzipped=gzipped, aliases=aliases)


ALL: Final = (
    _format("png", "image/png", _R, _D),
    _format("jpg", "image/jpeg", _R, _D, aliases=("jpeg",)),
    _format("webp", "image/webp", _R, _D),
    _format("gif", "image/gif", _R, _D),
    *((_format("avif", "image/avif", _R, _D),) if find_spec("PIL._avif") else ()),
    _format("tiff", "image/tiff", _R, _D, aliases=("tif",)),
    _format("npy", "application/x-numpy-data", _R, _D),
    _format("mvt", "application/vnd.mapbox-vector-tile", _V, gzipped=True, aliases=("pbf",)),
    _format("geojson", "application/geo+json", _V, gzipped=True),
    _format("parquet", "application/vnd.apache.parquet", _V, _T, _D),
    _format("feather", "application/vnd.apache.arrow.file", _V, _T, aliases=("arrow",)),
    _format("excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _V, _T, aliases=("xlsx",)),
    _format("csv", "text/csv; charset=utf-8", _V, _T, gzipped=True),
    _format("json", "application/json", _V, _T, _D, gzipped=True),
    _format("html", "text/html; charset=utf-8", _V, _T, _D, gzipped=True, aliases=("htm",)),
    _format("txt", "text/plain; charset=utf-8", _D, gzipped=True),
    _format("zip", "application/zip", _D),
    _format(PREVIEW, "text/html; charset=utf-8", _R, _V, _T, _D, gzipped=True),
)

FORMATS: Final[dict[str, Format]] = {name: fmt for fmt in ALL for name in (fmt.name, *fmt.aliases)}
"""By every extension, canonical or alias."""

POSSIBLE: Final = {kind: tuple(fmt.name for fmt in ALL if kind in fmt.kinds) for kind in Kind}
"""Canonical names of the formats that can be made of a result of each kind."""

PICTURES: Final = tuple(name for name in ("png", "jpg", "webp", "gif", "avif") if name in FORMATS)

TILE_DEFAULTS: Final = ("png", "mvt", "json", "html")
FILE_DEFAULTS: Final = ("png", "geojson", "parquet", "json", "html")
HOSTED_FILE_DEFAULTS: Final = ("png", "parquet", "json", "html")
"""In order of preference, where nobody asks for a format. The last is the hosted API's (its section 3.5)."""

_HOSTED_TYPES: Final = {"application/vnd.apache.parquet": "application/octet-stream"}


def hosted_type(media_type: str) -> str:
    """The media type as the hosted API's clients compare it, to the letter: bare, Parquet as octet-stream (2.6)."""
    bare = media_type.partition(";")[0]
    return _HOSTED_TYPES.get(bare, bare)
