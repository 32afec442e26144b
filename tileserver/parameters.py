"""A parameter's value as the text that a query carries."""

import datetime as dt
import json
from typing import Any

_DATA = (str, int, float, list, tuple, dict, type(None))
"""What JSON has a form for."""


def as_text(value: Any) -> str:
    """Text as it is, dates as ISO 8601, tables as JSON, geometries as GeoJSON, features in degrees, all else as JSON.

    What JSON has no form for, as a UUID, is its `str`.
    """
    if hasattr(value, "to_json"):
        return _table(value)
    plain = value if isinstance(value, _DATA) else _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, default=_plain)


def _table(table: Any) -> str:
    if hasattr(table, "crs"):
        return str(table.to_json(to_wgs84=table.crs is not None, default=_plain))
    return str(table.to_json())


def _plain(value: Any) -> Any:
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    if hasattr(value, "tolist") and type(value).__name__ != "datetime64":  # which would become a count of nanoseconds
        return value.tolist()
    return list(value) if isinstance(value, (set, frozenset)) else str(value)
