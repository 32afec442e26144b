"""A parameter's value as the text that a query carries."""

import datetime as dt
import json
from typing import Any


def as_text(value: Any) -> str:
    """Text as it is, dates as ISO 8601, tables and geometries as JSON and GeoJSON, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if hasattr(value, "to_json"):
        return str(value.to_json())
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    for name in ("__geo_interface__", "tolist"):
        if hasattr(value, name):
            plain = getattr(value, name)
            return plain() if callable(plain) else plain
    return str(value)
