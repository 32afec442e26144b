"""What TileJSON says of features and tables, found in a sample.

`geometry`: the GeoJSON types; `fields` Number, String or Boolean by column; `count` of rows; `stats` per column
its type, the number of distinct values (`count`), up to 20 of them (`values`), and `min` and `max` of numbers.
"""

from typing import Any, Final

import pandas as pd

_VALUES: Final = 20


def of_frame(frame: Any, *, geometry: bool) -> dict[str, Any]:
    """The facts of a DataFrame, as plain data."""
    columns = {str(name): frame[name] for name in frame.columns if frame[name].dtype.name != "geometry"}
    stats = {name: _stats(column) for name, column in columns.items()}
    facts = {"fields": {name: stat["type"] for name, stat in stats.items()}, "count": len(frame), "stats": stats}
    if geometry:
        facts["geometry"] = sorted({str(name) for name in frame.geometry.geom_type.dropna()})
    return facts


def _stats(column: Any) -> dict[str, Any]:
    if column.dtype.name == "category":
        column = column.astype(object)
    kind = _type(column)
    present = column.dropna()
    distinct = present.unique() if kind != "String" else present.map(str).unique()
    plain = [_CONVERT[kind](value) for value in distinct[:_VALUES]]
    stats = {"type": kind, "count": len(distinct), "values": plain}
    if kind == "Number" and len(present):
        stats |= {"min": _number(present.min()), "max": _number(present.max())}
    return stats


def _type(column: Any) -> str:
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "boolean":
        return "Boolean"
    return "Number" if inferred in ("integer", "floating", "mixed-integer-float", "decimal") else "String"


def _number(value: Any) -> int | float:
    number = float(value)
    return int(value) if number.is_integer() and abs(number) < 2**63 else number


_CONVERT: Final[dict[str, Any]] = {"Number": _number, "Boolean": bool, "String": str}
