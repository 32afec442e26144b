"""What the colours of a raster layer stand for, as its TileJSON tells it."""

import re
from typing import Any, Final

import orjson

from tileserver import query as queries
from tileserver.udfs import Udf

_INTEGER: Final = re.compile(r"(u?)int(\d+)")
_BARE: Final = re.compile(r"[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")


def legend(udf: Udf, facts: dict[str, Any], query: queries.Query) -> dict[str, Any] | None:
    """`stops` and `categories` as pairs of value and colour; or `range` with `colours`, evenly along it, and `name`.

    None where there is no colour map. Of one with a name that the query gives nobody here knows the colours.

    Args:
        udf: Its options count where the query says nothing else.
        facts: What a probe found out: the data type, the colours of the UDF's own colour map.
        query: Of the request.

    Raises:
        InvalidParameterError: the query's ranges do not convert.
    """
    ranges, text = queries.colours(udf, query)
    if not text:
        return None
    span = {"range": list(ranges[0]) if ranges else _nominal(facts.get("dtype", ""))}
    if text.lstrip()[:1] not in ("{", "["):
        own = facts.get("colours") if text == udf.options.colormap else None
        return {"name": text, **span, **({"colours": own} if own else {})}
    try:
        return _listed(orjson.loads(text), span)
    except (ValueError, TypeError):
        return None


def _listed(given: Any, span: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, dict):
        pairs = sorted((float(value), _colour(colour)) for value, colour in given.items())
        return {"categories": [list(pair) for pair in pairs]}
    if all(isinstance(each, list) and len(each) == 2 for each in given):
        return {"stops": [[float(value), _colour(colour)] for value, colour in given]}
    return {**span, "colours": [_colour(each) for each in given]}


def _colour(colour: str | list[int]) -> str:
    """As CSS has it."""
    if isinstance(colour, list):
        return f"#{bytes(colour).hex()}"
    return f"#{colour}" if _BARE.fullmatch(colour) else colour


def _nominal(dtype: str) -> list[float]:
    """What a data type's values are shown over where nobody says so; see `encode.colour`."""
    found = _INTEGER.fullmatch(dtype)
    if not found:
        return [0, 1]
    bits = int(found[2])
    return [0, 2**bits - 1] if found[1] else [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
