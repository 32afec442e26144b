"""Query text to canonical values by the rules of `@fused.udf` sources (hosted API, section 3.3)."""

import datetime as dt
import re
from typing import Any, Final

from tileserver.annotations import Annotation, canonical, json_value


class Number(str):
    """The text of what was a number in JSON: where nothing is said of a parameter's type, it becomes one again."""

    __slots__ = ()


_SECONDS: Final = re.compile(r"\d{1,12}(\.\d*)?", re.ASCII)
_MOMENTS: Final = frozenset({"datetime", "date", "time"})
_JSON: Final = frozenset({"list", "dict", "tuple"})


def coerced(annotation: Annotation, texts: list[str]) -> Any:
    """The canonical value of one or more query values of the same name.

    Where the SDK has no rule, or none for what came (as a list between commas), ours holds.

    Raises:
        ValueError: it does not convert; the text says what is expected, without the value.
    """
    if annotation.name == "any" and isinstance(texts[-1], Number):
        return json_value(str(texts[-1]))
    texts = list(map(str, texts))
    text = texts[-1]
    if annotation.name == "bool" and text:
        return text.casefold() != "false"  # "0" is true
    if annotation.name in _MOMENTS and _SECONDS.fullmatch(text):
        return _moment(annotation.name, float(text))
    if annotation.name in _JSON and len(texts) == 1 and text.lstrip()[:1] in {"[", "{"}:
        return json_value(text)  # its elements stay as they are, whatever the annotation says of them
    return canonical(annotation, texts)


def _moment(name: str, seconds: float) -> str:
    """The ISO 8601 text of a datetime, date or time, from seconds since 1970, UTC."""
    try:
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"is no {name}") from None
    part: dt.date | dt.time = moment
    if name != "datetime":
        part = moment.date() if name == "date" else moment.timetz()
    return part.isoformat()
