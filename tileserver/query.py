"""A request's query as the vocabulary: parameters by name, and the output options that it sets."""

import math
from typing import Any, Final
from urllib.parse import parse_qsl

from tileserver.errors import FormatNotPossibleError, InvalidParameterError
from tileserver.formats import FILE_DEFAULTS, FORMATS, HOSTED_FILE_DEFAULTS, PICTURES, POSSIBLE, TILE_DEFAULTS, Kind
from tileserver.jobs import Output
from tileserver.udfs import COMPRESSIONS, GAMMAS, Options, Udf

MAX_PARAMETERS: Final = 200
MAX_TILE_SIZE: Final = 2048
"""Pixels of a tile's side, after the scale."""
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_FAMILIES: Final = ("dtype_out_raster", "dtype_out_vector")
_DICTS: Final = frozenset({"npy", "json"})
"""Who reads both reads a zip of them, and never asks for it (hosted API, section 2.6)."""
_MAPPED: Final = frozenset({*PICTURES, "mvt", "geojson"})
"""What map clients take from the hosted API's tile routes; the others are for its SDK."""

LOOKS: Final = frozenset(
    {
        "tile_size",
        "rescale",
        "gamma",
        "colormap",
        "bands",
        "quality",
        "lossless",
        "clip",
        "compression",
        "empty",
    }
)
"""Names that say how an answer shall look, where they are no parameters of the UDF."""

Query = dict[str, list[str]]


def parse(raw: str) -> Query:
    """Values by name, in the order of the query; names that repeat collect.

    Raises:
        InvalidParameterError: too many parameters, or text that is not UTF-8.
    """
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise InvalidParameterError(f"The query has over {MAX_PARAMETERS} parameters or is not UTF-8.") from None
    found: Query = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def output(
    udf: Udf, kind: str | None, query: Query, *, extension: str, scale: int, tiled: bool, hosted: bool = False
) -> Output:
    """How the answer shall look: what the query sets, else the UDF's own options.

    Args:
        udf: Whose options and parameters count.
        kind: What its results are known to be, if anything is.
        query: Of the request.
        extension: Of the path; goes before `format`.
        scale: Of `@2x`.
        tiled: Whether a tile is asked for.
        hosted: Whether the answer is for the hosted API's clients.

    Raises:
        FormatNotPossibleError: no such format, or none that the UDF's kind can give.
        InvalidParameterError: an option's value does not convert.
    """
    options, given = udf.options, _given(udf, query)
    formats = _formats(kind, query, extension, tiled=tiled, hosted=hosted)
    return Output(
        formats=formats,
        blank=_blank(kind, formats, tiled=tiled, hosted=hosted),
        tiled=tiled,
        indexed=hosted and "csv" in formats,
        size=_number("tile_size", given, 256, 64, MAX_TILE_SIZE // scale) * scale if tiled else 256,
        rescale=_ranges(given, options),
        gamma=_gamma(given, options),
        colormap=given.get("colormap") or options.colormap,
        bands=_bands(given),
        quality=_number("quality", given, 75, 1, 100),
        lossless=_BOOLEANS[_choice("lossless", given, "false", *_BOOLEANS)],
        clip=tiled and _BOOLEANS[_choice("clip", given, "false", *_BOOLEANS)],
        compression=_choice("compression", given, options.compression, *COMPRESSIONS),
        **{name: getattr(options, name) for name in _FROM_OPTIONS},
    )


def colours(udf: Udf, query: Query) -> tuple[tuple[tuple[float, float], ...] | None, str | None]:
    """The ranges and the colour map that `output` has.

    Raises:
        InvalidParameterError: the ranges do not convert.
    """
    given = _given(udf, query)
    return _ranges(given, udf.options), given.get("colormap") or udf.options.colormap


def _given(udf: Udf, query: Query) -> dict[str, str]:
    """What is not a parameter of the UDF."""
    names = {each.name for each in udf.parameters}
    return {name: values[-1] for name, values in query.items() if name not in names}


_FROM_OPTIONS: Final = ("resampling", "background", "layer", "id_column", "max_tile_bytes", "buffer")


def names_format(query: Query, extension: str) -> bool:
    """Whether a request says how its answer shall be written, so that nobody needs to know what comes."""
    return bool(extension) or any(_listed(query, name) for name in ("format", *_FAMILIES))


def _formats(kind: str | None, query: Query, extension: str, *, tiled: bool, hosted: bool) -> tuple[str, ...]:
    """Canonical names in order of preference; the worker takes the first that its result can be."""
    defaults = TILE_DEFAULTS if tiled else HOSTED_FILE_DEFAULTS if hosted else FILE_DEFAULTS
    if not names_format(query, extension):
        return _usual(kind, defaults)
    wanted = (extension,) if extension else _listed(query, "format") or _by_family(query, defaults)
    names = tuple(dict.fromkeys(FORMATS[name].name for name in wanted if name in FORMATS))
    if not names or (kind and not set(POSSIBLE[Kind(kind)]).intersection(names)):
        unknown = [name for name in wanted if name not in FORMATS]
        raise FormatNotPossibleError(_refusal((unknown or wanted)[0], kind))
    return tuple(dict.fromkeys((*names, "zip"))) if _DICTS.issubset(names) else names


def _usual(kind: str | None, defaults: tuple[str, ...]) -> tuple[str, ...]:
    """A kind that is known has one, so that its answers are also those of whoever asks for that one."""
    if kind is None or kind == Kind.DOCUMENT:
        return defaults
    return (next(name for name in defaults if name in POSSIBLE[Kind(kind)]),)


def _by_family(query: Query, defaults: tuple[str, ...]) -> tuple[str, ...]:
    """No format is of both families, so that one list says what each becomes; a family left out has its defaults."""
    raster, vector = (_listed(query, family) for family in _FAMILIES)
    return (*(raster or defaults[:1]), *(vector or defaults[1:]))


def _listed(query: Query, name: str) -> tuple[str, ...]:
    parts = query.get(name, [""])[-1].lower().split(",")
    return tuple(part.strip() for part in parts if part.strip())


def _blank(kind: str | None, formats: tuple[str, ...], *, tiled: bool, hosted: bool) -> str:
    """The format that says that nothing is there; empty where no byte says it, which programs read as None."""
    able = formats if len(formats) == 1 else POSSIBLE[Kind(kind)] if kind and kind != Kind.DOCUMENT else ()
    name = next((each for each in formats if each in able), "")
    program = hosted or _DICTS.issubset(formats)
    return name if not program or (tiled and name in _MAPPED) else ""


def _refusal(name: str, kind: str | None) -> str:
    shown = name[:20] if name[:20].isalnum() else "That"
    if kind is None:
        return f"'{shown}' is not a format that can be served."
    return f"'{shown}' is not possible: this layer is {kind} and can be {', '.join(POSSIBLE[Kind(kind)])}."


def _number(name: str, given: dict[str, str], default: int, low: int, high: int) -> int:
    if name not in given:
        return default
    text = given[name]
    if not (text.isascii() and text.isdigit() and len(text) < 6 and low <= int(text) <= high):
        raise InvalidParameterError(f"Parameter '{name}' is not a number from {low} to {high}.", parameter=name)
    return int(text)


def _choice(name: str, given: dict[str, str], default: str, *choices: str) -> str:
    text = given.get(name) or default
    if text not in choices:
        raise InvalidParameterError(f"Parameter '{name}' is not one of {', '.join(choices)}.", parameter=name)
    return text


def _gamma(given: dict[str, str], options: Options) -> float:
    if not given.get("gamma"):
        return options.gamma
    values = _numbers("gamma", given["gamma"], float)
    if len(values) != 1 or not GAMMAS[0] <= values[0] <= GAMMAS[1]:
        raise InvalidParameterError("Parameter 'gamma' is not a number from 0.1 to 10.", parameter="gamma")
    return float(values[0])


def _numbers(name: str, text: str, convert: Any) -> list[Any]:
    try:
        if not text.isascii() or "_" in text:  # Python's own numbers may have more digits and signs
            raise ValueError
        return [convert(part) for part in text.split(",")]
    except ValueError:
        raise InvalidParameterError(f"Parameter '{name}' is not numbers between commas.", parameter=name) from None


def _ranges(given: dict[str, str], options: Options) -> tuple[tuple[float, float], ...] | None:
    if not given.get("rescale"):
        return options.rescale
    values = _numbers("rescale", given["rescale"], float)
    pairs = tuple(zip(values[::2], values[1::2], strict=False))
    if len(values) % 2 or not all(-math.inf < low < high < math.inf for low, high in pairs):
        raise InvalidParameterError("Parameter 'rescale' is not low,high with low below high.", parameter="rescale")
    return pairs


def _bands(given: dict[str, str]) -> tuple[int, ...] | None:
    if not given.get("bands"):
        return None
    bands = tuple(_numbers("bands", given["bands"], int))
    if not all(1 <= band <= 10_000 for band in bands) or len(bands) > 4:
        raise InvalidParameterError("Parameter 'bands' is not one to four bands counted from 1.", parameter="bands")
    return bands
