"""Results as bytes: npy, Parquet and JSON where these bring back what was there, else a pickle."""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any, Final

import orjson

from tileserver.encode import exchange


def write(value: Any) -> tuple[str, bytes]:
    """The form's name, and the value in it.

    Raises:
        Exception: it has none; whatever its class says.
    """
    for name, fits, dump, _ in _FORMS:
        if fits(value):
            try:
                return name, dump(value)
            except Exception:  # noqa: S112 - as Arrow's of complex numbers; a pickle holds whatever it is
                continue
    return "pickle", pickle.dumps(value, protocol=5)


def read(name: str, body: bytes) -> Any:
    """What `write` was given.

    A pickle runs what it says: only bodies that the account's own workers wrote may come here.
    """
    load = _READERS.get(name, pickle.loads)
    return load(body)


def _is_exactly(value: Any, module: str, name: str) -> bool:
    kind = type(value)
    return kind.__name__ == name and kind.__module__.partition(".")[0] == module


def _is_array(value: Any) -> bool:
    return _is_exactly(value, "numpy", "ndarray") and not value.dtype.hasobject


def _is_frame(value: Any) -> bool:
    return _is_exactly(value, "pandas", "DataFrame") and _survives(value)


def _is_features(value: Any) -> bool:
    return _is_exactly(value, "geopandas", "GeoDataFrame") and bool(value.active_geometry_name) and _survives(value)


def _survives(frame: Any) -> bool:
    """Whether Parquet gives it back as it is: objects other than text come back as others, seconds as milliseconds."""
    from pandas.api.types import infer_dtype

    index = frame.index
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    columns += [index.get_level_values(level) for level in range(index.nlevels)]
    objects = [each for each in columns if each.dtype.name == "object"]
    named = all(type(name) is str for name in frame.columns)
    plain = named and not frame.attrs and getattr(index, "freq", None) is None
    plain = plain and not any(each.dtype.name.startswith("datetime64[s") for each in columns)
    return plain and all(infer_dtype(column, skipna=False) == "string" for column in objects)


def _parquet(frame: Any) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def _read_frame(body: bytes) -> Any:
    import pandas

    return pandas.read_parquet(io.BytesIO(body))


def _read_features(body: bytes) -> Any:
    import geopandas

    return geopandas.read_parquet(io.BytesIO(body))


def _is_data(value: Any) -> bool:
    """Whether JSON says it exactly: no tuples, no numbers beyond it, no keys but text."""
    kind = type(value)
    if kind is list:
        return all(map(_is_data, value))
    if kind is dict:
        return all(type(name) is str and _is_data(each) for name, each in value.items())
    if kind is float:
        return math.isfinite(value)
    return value is None or kind in (bool, str) or (kind is int and -(2**63) <= value < 2**64)


def _array(value: Any) -> bytes:
    return exchange.draw(value).body


def _read_array(body: bytes) -> Any:
    return exchange.read(body, exchange.ARRAY)


_Form = tuple[str, Callable[[Any], bool], Callable[[Any], bytes], Callable[[bytes], Any]]
_FORMS: Final[tuple[_Form, ...]] = (
    ("npy", _is_array, _array, _read_array),
    ("parquet", _is_frame, _parquet, _read_frame),
    ("geoparquet", _is_features, _parquet, _read_features),
    ("json", _is_data, orjson.dumps, orjson.loads),
)
_READERS: Final = {name: load for name, _, _, load in _FORMS}
