"""Columns whose values are of many types as bytes, value by value, and back: what Arrow would make others of.

MessagePack, with what it has not as extensions. No pickles: reading must never run code.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pandas as pd

_AS_THEY_ARE: Final = (str, bytes, bool, float)
_WHOLE: Final = range(-(1 << 63), 1 << 64)
"""Integers that MessagePack has."""


class _Kind(NamedTuple):
    """Values that become an extension; the first that fits counts."""

    type: Any
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


def column(values: Any) -> list[bytes]:
    """Each value of a column: text, numbers, times, bytes, lists, dicts, sets; of others what `str` makes of them."""
    encode = msgspec.msgpack.Encoder().encode
    return [encode(_tagged(value)) for value in values]


def unpacked(column: Any) -> Any:
    """The column that `column` was given, as objects, with its index."""
    values = np.empty(len(column), object)
    values[:] = [_read(body) for body in column]
    return pd.Series(values, column.index, dtype=object)


def _tagged(value: Any) -> Any:
    """The same out of what MessagePack has."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if type(value) in _AS_THEY_ARE or (type(value) is int and value in _WHOLE):
        return value
    if isinstance(value, dict):
        return {_key(key): _tagged(each) for key, each in value.items()}
    if type(value) is list:
        return [_tagged(each) for each in value]
    for code, kind in enumerate(_KINDS):
        if isinstance(value, kind.type):
            return msgspec.msgpack.Ext(code, kind.write(value))
    return str(value)


def _key(key: Any) -> Any:
    return key if type(key) in (str, int, float, bool) else str(key)


def _read(body: bytes) -> Any:
    return msgspec.msgpack.decode(body, ext_hook=lambda code, data: _KINDS[code].read(bytes(data)))


def _listed(values: Any) -> bytes:
    return msgspec.msgpack.encode([_tagged(each) for each in values])


def _array(array: Any) -> bytes:
    if array.dtype.hasobject:
        return _listed(["", array.tolist()])
    return _listed([array.dtype.str, list(array.shape), array.tobytes()])


def _read_array(body: bytes) -> Any:
    dtype, *rest = _read(body)
    if not dtype:
        return rest[0]
    shape, data = rest
    return np.frombuffer(data, dtype).reshape(shape)


def _text(value: Any) -> bytes:
    return str(value).encode()


_KINDS: Final = (  # their places are what is stored: new ones go last
    _Kind(pd.Timestamp, lambda value: value.isoformat().encode(), lambda body: pd.Timestamp(body.decode())),
    _Kind(datetime, lambda value: value.isoformat().encode(), lambda body: datetime.fromisoformat(body.decode())),
    _Kind(date, lambda value: value.isoformat().encode(), lambda body: date.fromisoformat(body.decode())),
    _Kind(time, lambda value: value.isoformat().encode(), lambda body: time.fromisoformat(body.decode())),
    _Kind(pd.Timedelta, lambda value: value.isoformat().encode(), lambda body: pd.Timedelta(body.decode())),
    _Kind(
        timedelta,
        lambda value: _listed([value.days, value.seconds, value.microseconds]),
        lambda body: timedelta(*_read(body)),
    ),
    _Kind(Decimal, _text, lambda body: Decimal(body.decode())),
    _Kind(UUID, _text, lambda body: UUID(body.decode())),
    _Kind(np.generic, lambda value: _array(np.asarray(value)), lambda body: _read_array(body)[()]),
    _Kind(np.ndarray, _array, _read_array),
    _Kind(set, _listed, lambda body: set(_read(body))),
    _Kind(frozenset, _listed, lambda body: frozenset(_read(body))),
    _Kind(tuple, _listed, lambda body: tuple(_read(body))),
    _Kind(list, _listed, _read),
    _Kind(int, _text, lambda body: int(body.decode())),
)
