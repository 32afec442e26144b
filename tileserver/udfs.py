"""UDFs: what is known of one without running it, and how a query becomes its arguments. `signature` reads the text."""

import hashlib
import math
import re
from typing import Any, Final

import msgspec
from PIL import ImageColor

from tileserver.annotations import ANY, Annotation, canonical, is_plain
from tileserver.coercion import Number, coerced
from tileserver.defaults import fitted
from tileserver.errors import InvalidParameterError, PublicationError
from tileserver.formats import Kind
from tileserver.sizes import size

RESERVED: Final = frozenset(
    [
        "cache_max_age",
        "dtype_out_vector",
        "dtype_out_raster",
        "format",
        "profile",
        "fused_cache_disable_stream",
        "fused_session_token",
        "cache_reset",
        "v",
        "scheme",
        "tms",
    ]
)
"""Query names that never reach a UDF, beside all that begin with an underscore (hosted API, section 2.4)."""

INJECTED: Final = frozenset({"tile", "bounds", "bbox", "x", "y", "z"})
"""Names that tile routes fill in, and that nobody can set from outside there."""

_AREAS: Final = frozenset({"TileXYZ", "TileGDF", "ViewportGDF", "Bounds", "Bbox"})
"""Types of `fused.types` that say in which form a tile is wanted."""
_AGE: Final = re.compile(r"(\d{1,15})([smhd]?)\Z", re.ASCII)
_LONGEST_AGE: Final = 10**9
_LEAST_MEMORY: Final = 16 * 10**6
"""Seconds, some thirty years: longer means the same."""
_AGES: Final = frozenset({"cache_max_age", "stale_while_revalidate", "stale_if_error"})
_RESAMPLING: Final = ("nearest", "bilinear", "cubic", "average", "mode")
COMPRESSIONS: Final = ("fast", "smallest")
GAMMAS: Final = 0.1, 10.0
BLOCK_SIZES: Final = 256, 16_384
_AGE_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that a query may set, or that is injected."""

    name: str
    annotation: Annotation = ANY
    required: bool = True
    default: Any = None
    """Plain data, as if it were given; None where there is none, or where it is computed."""
    computed: bool = False
    """Whether the default is an expression that only running the code would tell."""
    area: bool = False
    """Whether a `@fused.udf` takes the tile by it (hosted API, section 3.2)."""

    @property
    def injected(self) -> str:
        """What a tile route fills in: `tile`, `bounds`, `bbox`, `x`, `y` or `z`; `area` where the annotation says in
        which form; else empty.
        """
        if self.area or self.annotation.name in _AREAS:
            return "area"
        return self.name if self.name in INJECTED else "tile" if self.annotation.name == "Tile" else ""

    @property
    def read_as(self) -> Annotation:
        """What a query's text is read as: names that tile routes fill in have types of their own."""
        return _INJECTED_TEXT.get(self.injected, self.annotation)

    def defaulting(self, default: Any, *, fused: bool) -> "Parameter":
        """The same with a default; elements of what a `@fused.udf` is given stay as they are."""
        if not (fused and isinstance(default, (list, dict))):
            default = fitted(self.read_as, default)
        return msgspec.structs.replace(self, required=False, default=default, computed=False)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `@udf`; units as in DESIGN's table."""

    name: str = ""
    kind: str | None = None
    minzoom: int = 0
    maxzoom: int = 22
    bounds: tuple[float, float, float, float] | None = None
    attribution: str = ""
    cache_max_age: int = 90 * 86400
    """Seconds."""
    stale_while_revalidate: int = 0
    """Seconds behind it for which an answer is given while a new one is made."""
    stale_if_error: int = 0
    """Seconds behind it for which an answer is given where a new one fails."""
    empty_below: bool = False
    """Whether there is nothing on tiles below one that is empty."""
    block_zoom: int | None = None
    """The zoom of the tiles that it is called for; those at it and below it are cut from what that gives."""
    block_size: int = 4096
    """Pixels of the side of such a tile, at most."""
    timeout: float | None = None
    """Seconds; None takes the server's."""
    memory: int | None = None
    """Bytes that a worker may take; None takes the server's."""
    rescale: tuple[tuple[float, float], ...] | None = None
    gamma: float = 1.0
    colormap: str | None = None
    compression: str = "fast"
    resampling: str = "nearest"
    background: str = "white"
    layer: str = "udf"
    id_column: str | None = None
    max_tile_bytes: int = 500_000
    buffer: int = 64


class Udf(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF as its source's text describes it."""

    name: str
    digest: str
    """SHA-256, hexadecimal, of the source, the sibling modules and the options in it."""
    entry: str
    line: int = 1
    """Where the entry function begins in the source."""
    parameters: tuple[Parameter, ...]
    takes_all: bool = False
    """Whether it has `**kwargs`."""
    options: Options
    doc: str = ""
    kind: str | None = None
    """From `kind=` or the return annotation; None until a probe has found it."""
    fused: bool = False
    computed: tuple[str, ...] = ()
    """Options that only running the code would tell."""
    warnings: tuple[str, ...] = ()


def digest(code: str, headers: dict[str, str], entry: str = "") -> str:
    """SHA-256 in hexadecimal over the source and its sibling modules, each length-prefixed.

    Args:
        entry: the function's name, where the source does not say which one it is.
    """
    total = hashlib.sha256()
    for part in (code, *(text for pair in sorted(headers.items()) for text in pair), *filter(None, (entry,))):
        raw = part.encode("utf-8", "surrogatepass")
        total.update(b"%d:" % len(raw) + raw)
    return total.hexdigest()


def options_of(given: dict[str, Any], file: str, line: int) -> Options:
    """The options that keywords of `@udf` make; None and names without a field are left out.

    Raises:
        PublicationError: a value that cannot be.
    """
    plain = {name: value for name, value in given.items() if value is not None and name in Options.__struct_fields__}
    try:
        return _checked(msgspec.convert(_normalised(plain), Options))
    except (ValueError, TypeError, KeyError) as error:
        raise PublicationError(f"an option of @udf cannot be: {error}", file=file, line=line) from None


def option_value(name: str, value: Any, file: str, line: int) -> Any:
    """An option's value as plain data: the keys of a colour map may be numbers.

    Raises:
        PublicationError: it is no such data.
    """
    if name == "colormap" and isinstance(value, dict):
        value = {str(key): colour for key, colour in value.items()}
    if not is_plain(value):
        raise PublicationError(f"option {name!r} cannot be {value!r:.60}", file=file, line=line)
    return value


def with_computed(udf: Udf, options: dict[str, Any], defaults: dict[str, Any], *, file: str) -> Udf:
    """The UDF completed with what a worker evaluated.

    Raises:
        PublicationError: a computed option cannot be.
    """
    known = {name: value for name, value in msgspec.to_builtins(udf.options).items() if value is not None}
    complete = options_of({**known, **options}, file, 1)
    parameters = tuple(
        each.defaulting(defaults[each.name], fused=udf.fused) if each.name in defaults else each
        for each in udf.parameters
    )
    return msgspec.structs.replace(
        udf, options=complete, parameters=parameters, kind=complete.kind or udf.kind, computed=()
    )


def _normalised(given: dict[str, Any]) -> dict[str, Any]:
    result = dict(given)
    for age in _AGES & result.keys():
        result[age] = seconds(result[age])
    if "memory" in result:
        result["memory"] = size(result["memory"])
    rescale = result.get("rescale")
    if isinstance(rescale, (list, tuple)) and rescale and isinstance(rescale[0], (int, float)):
        result["rescale"] = [rescale]
    if isinstance(result.get("colormap"), (dict, list, tuple)):
        result["colormap"] = msgspec.json.encode(result["colormap"]).decode()
    return result


def _checked(options: Options) -> Options:
    if not 0 <= options.minzoom <= options.maxzoom <= 30:
        raise ValueError("zooms must be 0 <= minzoom <= maxzoom <= 30")
    if options.kind is not None and options.kind not in set(Kind):
        raise ValueError(f"kind is one of {', '.join(Kind)}")
    if options.bounds and not _are_degrees(*options.bounds):
        raise ValueError("bounds are west, south, east, north in degrees")
    if options.timeout is not None and not 0 < options.timeout < math.inf:
        raise ValueError("timeout is a number of seconds above 0")
    if options.memory is not None and options.memory < _LEAST_MEMORY:
        raise ValueError("memory is a size such as '512MB', of at least 16MB")
    if options.block_zoom is not None and not 0 <= options.block_zoom <= 30:
        raise ValueError("block_zoom is from 0 to 30")
    if not BLOCK_SIZES[0] <= options.block_size <= BLOCK_SIZES[1]:
        raise ValueError("block_size is from 256 to 16384")
    if not (0 <= options.buffer <= 4096 and options.max_tile_bytes > 0):
        raise ValueError("buffer is from 0 to 4096, max_tile_bytes above 0")
    _check_picture(options)
    return options


def _check_picture(options: Options) -> None:
    if options.resampling not in _RESAMPLING:
        raise ValueError(f"resampling is one of {', '.join(_RESAMPLING)}")
    if options.compression not in COMPRESSIONS:
        raise ValueError(f"compression is one of {', '.join(COMPRESSIONS)}")
    if not GAMMAS[0] <= options.gamma <= GAMMAS[1]:
        raise ValueError("gamma is from 0.1 to 10")
    if not all(low < high for low, high in options.rescale or ()):
        raise ValueError("rescale is (low, high) with low below high, or a pair for each band")
    if options.background != "white":
        ImageColor.getrgb(options.background)


def _are_degrees(west: float, south: float, east: float, north: float) -> bool:
    return -90 <= south < north <= 90 and all(-360 <= each <= 360 for each in (west, east)) and west != east


def seconds(age: float | str) -> int:
    """Seconds of `30`, `"30s"`, `"15m"`, `"12h"` or `"1d"`.

    Raises:
        ValueError: anything else.
    """
    match = _AGE.match(f"{age:.0f}" if isinstance(age, (int, float)) else age)
    if not match:
        raise ValueError("an age is a number of seconds, or one with s, m, h or d behind it")
    return min(int(match[1]) * _AGE_SECONDS[match[2]], _LONGEST_AGE)


def is_reserved(name: str) -> bool:
    """Whether a query name never reaches a UDF."""
    return name in RESERVED or name.startswith("_")


def bind(udf: Udf, query: dict[str, list[str]], *, tiled: bool) -> dict[str, Any]:
    """Canonical arguments by name, sorted: what the query sets, defaults that the text tells filled in.

    Injected parameters are left out on tile routes; on file routes they are bound like any other.

    Raises:
        InvalidParameterError: a value does not convert, or a required parameter is missing; names the parameter.
    """
    bound: dict[str, Any] = {}
    for each in udf.parameters:
        if (tiled and each.injected) or is_reserved(each.name):
            continue
        if each.name in query:
            bound[each.name] = _bound(each, query[each.name], fused=udf.fused)
        elif not each.required and not each.computed:
            bound[each.name] = each.default
        elif each.required:
            raise _missing(each)
    if udf.takes_all:
        bound |= {name: str(texts[-1]) for name, texts in query.items() if _spare(name, bound, tiled=tiled)}
    return dict(sorted(bound.items()))


def settable(udf: Udf) -> list[Parameter]:
    """What a tile's query sets of its parameters."""
    return [each for each in udf.parameters if not each.injected and not is_reserved(each.name)]


def own_arguments(udf: Udf, arguments: dict[str, Any]) -> dict[str, Any]:
    """Of bound arguments those that are the same for all tiles, and for a file."""
    injected = INJECTED | {each.name for each in udf.parameters if each.injected}
    return {name: value for name, value in arguments.items() if name not in injected}


def _spare(name: str, bound: dict[str, Any], *, tiled: bool) -> bool:
    return name not in bound and not is_reserved(name) and not (tiled and name in INJECTED)


def _bound(parameter: Parameter, texts: list[str], *, fused: bool) -> Any:
    if parameter.injected == "area" and not isinstance(texts[-1], Number):
        # The worker reads it; old SDKs repeat the name for each of the four numbers.
        return ",".join(texts) or None
    try:
        return coerced(parameter.read_as, texts) if fused else canonical(parameter.read_as, list(map(str, texts)))
    except ValueError as error:
        message = f"Parameter '{parameter.name}' {error}."
        raise InvalidParameterError(message, parameter=parameter.name) from None


_FOUR: Final = Annotation(name="tuple", items=(Annotation(name="float"),) * 4)
_INJECTED_TEXT: Final = {
    "bounds": _FOUR,
    "bbox": _FOUR,
    "tile": Annotation(name="str"),
    **dict.fromkeys("xyz", Annotation(name="int")),
}


_HINTS: Final = {
    "tile": " (this UDF draws tiles: use its tile address, or give tile=z/x/y)",
    "area": " (this UDF draws tiles: use its tile address, or give west,south,east,north)",
}


def _missing(parameter: Parameter) -> InvalidParameterError:
    hint = _HINTS.get(parameter.injected, "")
    return InvalidParameterError(f"Parameter '{parameter.name}' is missing{hint}.", parameter=parameter.name)
