"""Columns as the keys, values and ids of a vector tile."""

import math
import struct
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from tileserver.encode.protobuf import message, number, varint, varints
from tileserver.errors import InvalidParameterError


def table(frame: Any) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Per feature its tags (packed), and the layer's keys and values. Missing values have no tag.

    Geometry columns are no attributes.
    """
    names = [name for name in frame.columns if frame[name].dtype.name != "geometry"]
    known: dict[bytes, int] = {}
    columns = [_codes(frame[name], known) for name in names]
    tags = np.full((len(frame), len(names), 2), -1, np.int64)
    for at, codes in enumerate(columns):
        tags[:, at, 0], tags[:, at, 1] = at, codes
    there = tags[:, :, 1] >= 0
    counts = there.sum(axis=1) * 2
    filled = np.flatnonzero(counts)
    pieces = dict(zip(filled.tolist(), varints(tags[there].ravel(), (np.cumsum(counts) - counts)[filled]), strict=True))
    return [pieces.get(row, b"") for row in range(len(frame))], [str(name).encode() for name in names], list(known)


def identities(frame: Any, column: str | None) -> list[bytes]:
    """Per feature the field that holds its id; empty where it has none."""
    if column is not None and column not in frame.columns:
        raise InvalidParameterError(f"id_column={column} is not a column of the result", parameter="id_column")
    return [_identity(value) for value in (frame.index if column is None else frame[column])]


def _identity(value: Any) -> bytes:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < 1 << 64:
        return number(1, int(value))
    return b""


def _codes(column: Any, known: dict[bytes, int]) -> NDArray[np.int64]:
    """The index of each row's value among those known, which grow; -1 where it is missing."""
    if column.dtype == object:
        return np.array([_code(value, known) for value in column], np.int64)
    codes, uniques = pd.factorize(column)
    places = np.array([*(_code(value, known) for value in uniques), -1], np.int64)
    return places[codes]


def _code(value: Any, known: dict[bytes, int]) -> int:
    encoded = _value(value)
    return -1 if encoded is None else known.setdefault(encoded, len(known))


def _value(value: Any) -> bytes | None:
    """The specification's `Value` message; None where there is nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool):
        return number(7, value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 64:
        return number(5, value) if value >= 0 else number(6, -2 * value - 1)
    if isinstance(value, float):
        return None if math.isnan(value) else varint(3 << 3 | 1) + struct.pack("<d", value)
    return message(1, _text(value).encode())


def _text(value: Any) -> str:
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dict, list, tuple, np.ndarray)):
        return orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    return str(value)
