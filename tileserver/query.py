"""A request's query as the vocabulary: parameters by name, and the output options that it sets."""

import math
from typing import Any, Final
from urllib.parse import parse_qsl

from tileserver.errors import FormatNotPossibleError, InvalidParameterError
from tileserver.formats import FILE_DEFAULTS, FORMATS, TILE_DEFAULTS, Kind, possible
from tileserver.jobs import Output
from tileserver.udfs import Options, Udf

MAX_PARAMETERS: Final = 200
MAX_TILE_SIZE: Final = 2048
"""Pixels of a tile's side, after the scale."""
_VECTORISH: Final = frozenset({Kind.VECTOR, Kind.TABLE})

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


def output(udf: Udf, kind: str | None, query: Query, *, extension: str, scale: int, tiled: bool) -> Output:
    """How the answer shall look: what the query sets, else the UDF's own options.

    Raises:
        FormatNotPossibleError: no such format, or none that the UDF's kind can give.
        InvalidParameterError: an option's value does not convert.
    """
    options = udf.options
    given = {
        name: values[-1] for name, values in query.items() if not any(each.name == name for each in udf.parameters)
    }
    return Output(
        format=_format(kind, query, extension, tiled=tiled),
        tiled=tiled,
        size=_number("tile_size", given, 256, 64, MAX_TILE_SIZE // scale) * scale if tiled else 256,
        rescale=_ranges(given, options),
        colormap=given.get("colormap") or options.colormap,
        bands=_bands(given),
        quality=_number("quality", given, 75, 1, 100),
        **{name: getattr(options, name) for name in _FROM_OPTIONS},
    )


_FROM_OPTIONS: Final = ("resampling", "background", "layer", "id_column", "max_tile_bytes", "buffer")


def _format(kind: str | None, query: Query, extension: str, *, tiled: bool) -> str | None:
    wanted = _wanted(kind, query, extension)
    if not wanted:
        return None if kind is None else (TILE_DEFAULTS if tiled else FILE_DEFAULTS).get(Kind(kind))
    known = [FORMATS[name.lower()].name for name in wanted if name.lower() in FORMATS]
    if kind is None and known:
        return known[0]
    able = possible(Kind(kind)) if kind else []
    for name in known:
        if name in able or kind is None:
            return name
    raise FormatNotPossibleError(_refusal(wanted[0], kind, able))


def _wanted(kind: str | None, query: Query, extension: str) -> list[str]:
    if extension:
        return [extension]
    if query.get("format"):
        return query["format"][-1].split(",")
    family = "dtype_out_vector" if kind in _VECTORISH else "dtype_out_raster"
    both = [family] if kind else ["dtype_out_raster", "dtype_out_vector"]
    return [name for each in both for name in query.get(each, [])][:1]


def _refusal(name: str, kind: str | None, able: list[str]) -> str:
    shown = name[:20] if name[:20].isalnum() else "That"
    if kind is None:
        return f"'{shown}' is not a format that can be served."
    return f"'{shown}' is not possible: this layer is {kind} and can be {', '.join(able)}."


def _number(name: str, given: dict[str, str], default: int, low: int, high: int) -> int:
    if name not in given:
        return default
    text = given[name]
    if not (text.isascii() and text.isdigit() and len(text) < 6 and low <= int(text) <= high):
        raise InvalidParameterError(f"Parameter '{name}' is not a number from {low} to {high}.", parameter=name)
    return int(text)


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
