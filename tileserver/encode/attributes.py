"""Columns as the tags, keys and values of a vector tile, and the ids of its features: by Arrow, not value by value."""

import base64
import math
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from pandas.arrays import NumpyExtensionArray

from tileserver.encode import ragged
from tileserver.encode.protobuf import Numbers, key, sizes, varints, zigzag
from tileserver.encode.ragged import Ragged
from tileserver.errors import InvalidParameterError

_VALUE: Final = key(4, lengthy=True)
"""Of a layer, each value's message."""
_TEXT, _DOUBLE, _UNSIGNED, _SIGNED, _BOOL = key(1, lengthy=True), key(3) | 1, key(5), key(6), key(7)
"""Of that message, the field of each type; of eight bytes is the second."""
_PLAIN: Final = ("string", "boolean", "integer", "floating", "empty")
"""What Arrow reads of a column of objects as it is; others it would turn into one another."""
_SIGNED_LIMIT: Final = 1 << 63
_TYPES: Final = {
    "text": pa.large_string(),
    "double": pa.float64(),
    "integer": pa.int64(),
    "unsigned": pa.uint64(),
    "bool": pa.bool_(),
}
"""Of each kind of value."""


class Table(NamedTuple):
    """The attributes of a layer."""

    tags: Ragged
    """Bytes of each feature: pairs of the numbers of a key and of a value."""
    keys: list[bytes]
    values: bytes
    """The values' messages, with their field."""


def table(frame: Any, rows: NDArray[np.int64]) -> Table:
    """The attributes of some of a frame's rows; what is missing has no tag. Geometry columns are no attributes."""
    named = [(name, column.array) for name, column in frame.items() if column.dtype.name != "geometry"]
    whole = len(rows) == len(frame) and np.array_equal(rows, np.arange(len(frame)))
    chosen = (values if whole else values.take(rows) for _, values in named)
    columns = [(place, *typed) for place, values in enumerate(chosen) for typed in _typed(values)]
    codes, values = _coded(columns, len(rows))
    tags = np.empty((*codes.shape, 2), np.uint32)
    tags[:, :, 0], tags[:, :, 1] = [place for place, _, _ in columns], codes
    keys = [str(name).encode() for name, _ in named]
    return Table(varints(_there(tags, codes >= 0)), keys, values)


def _there(tags: NDArray[np.uint32], there: NDArray[np.bool_]) -> Ragged:
    """Of each row the tags that it has; most tables have all."""
    if there.all():
        return ragged.even(tags.reshape(len(tags), -1))
    return Ragged(tags[there].ravel(), 2 * there.sum(axis=1))


def identities(frame: Any, column: str | None, rows: NDArray[np.int64]) -> tuple[Numbers, NDArray[np.bool_]]:
    """Of each of some rows the number that is its id, and whether it has one.

    Raises:
        InvalidParameterError: there is no such column.
    """
    if column is not None and column not in frame.columns:
        raise InvalidParameterError(f"id_column={column} is not a column of the result", parameter="id_column")
    numbers, there = np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
    named = frame.index if column is None else frame[column]
    if isinstance(named, pd.MultiIndex):
        return numbers, there
    own = named.array.take(rows)
    if isinstance(own, NumpyExtensionArray) and own.dtype.kind in "iu":
        return own.to_numpy().astype(np.uint64), own.to_numpy() >= 0
    for kind, values in _typed(own):
        if kind in ("integer", "unsigned", "double"):
            whole = _whole(values)
            fits = ~np.asarray(whole.is_null())
            numbers[fits] = whole.drop_null().to_numpy()
            there |= fits
    return numbers, there


def _whole(values: pa.Array) -> pa.Array:
    """Those that are whole and not negative, as unsigned numbers; the others are null."""
    fits = pc.greater_equal(values, pa.scalar(0, values.type))
    if pa.types.is_floating(values.type):
        fits = pc.and_(fits, pc.and_(pc.equal(pc.floor(values), values), pc.less(values, float(1 << 64))))
    return pc.cast(pc.if_else(fits, values, None), pa.uint64())


Typed = tuple[str, pa.Array]
"""A kind of value, and a column's values of that kind; null where it is of another or missing."""


def _typed(column: ExtensionArray) -> list[Typed]:
    plain = column.to_numpy() if isinstance(column, NumpyExtensionArray) else column
    if (
        isinstance(plain, np.ndarray)
        and plain.dtype == object
        and pd.api.types.infer_dtype(plain, skipna=True) not in _PLAIN
    ):
        return _mixed(plain)
    try:
        values = pa.array(plain, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError):
        return _mixed(plain)
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return _of_arrow(values, plain)


def _of_arrow(values: pa.Array, column: Any) -> list[Typed]:
    """Args: column: what it came from, for types that are read value by value."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _of_arrow(values.dictionary_decode(), column)
    if pa.types.is_boolean(kind):
        return [("bool", values)]
    if pa.types.is_uint64(kind):
        return _unsigned(values)
    if pa.types.is_integer(kind):
        return [("integer", _cast(values, pa.int64()))]
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = _cast(values, pa.float64())  # of NumPy's, NaN is null already
        return [("double", values if isinstance(column, np.ndarray) else pc.if_else(pc.is_nan(values), None, values))]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [("text", _cast(values, pa.large_string()))]
    if pa.types.is_temporal(kind) or pa.types.is_binary(kind):
        coded = values.dictionary_encode()
        texts = pa.array([_text(value) for value in coded.dictionary.to_pylist()], pa.large_string())
        return [("text", texts.take(coded.indices))]
    return _mixed(column)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow takes its time also where there is nothing to do."""
    return values if values.type == kind else values.cast(kind)


def _unsigned(values: pa.Array) -> list[Typed]:
    """Those that a signed number holds are written as others are, so that no value is there twice."""
    small = pc.less(values, pa.scalar(_SIGNED_LIMIT, pa.uint64()))
    signed = pc.if_else(small, values, None).cast(pa.int64())
    return [("integer", signed), ("unsigned", pc.if_else(small, None, values))]


def _mixed(column: Any) -> list[Typed]:
    """The slow way, for columns whose values are of several types."""
    found: dict[str, list[Any]] = {}
    for at, value in enumerate(column):
        kind, plain = _plain(value)
        if kind:
            found.setdefault(kind, [None] * len(column))[at] = plain
    return [(kind, pa.array(values, _TYPES[kind])) for kind, values in found.items()]


def _plain(value: Any) -> tuple[str, Any]:
    """A value's kind and what is written; no kind where there is nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return "", None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int) and -_SIGNED_LIMIT <= value < 2 * _SIGNED_LIMIT:
        return "integer" if value < _SIGNED_LIMIT else "unsigned", value
    if isinstance(value, float):
        return ("", None) if math.isnan(value) else ("double", value)
    return "text", _text(value)


def _text(value: Any) -> str | None:
    """Of what has no type of its own in a tile: ISO 8601 of times, base64 of bytes, JSON of lists and objects."""
    if value is None:
        return None
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return pd.Timedelta(value).isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (dict, list, tuple, np.ndarray)):
        return orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def _coded(columns: list[tuple[int, str, pa.Array]], rows: int) -> tuple[NDArray[np.int32], bytes]:
    """Of each row and column the number of its value, -1 where it has none; and the values' messages.

    The most frequent have the lowest numbers, which take the fewest bytes.
    """
    codes = np.empty((len(columns), rows), np.int32)
    messages, written = [Ragged(np.empty(0, np.uint8), np.empty(0, np.int64))], 0
    for kind, write in _WRITERS.items():
        own = [at for at, (_, other, _) in enumerate(columns) if other == kind]
        if own:
            found = pa.concat_arrays([columns[at][2] for at in own]).dictionary_encode()
            numbers = found.indices.fill_null(-1 - written) if found.null_count else found.indices
            codes[own] = numbers.to_numpy().reshape(len(own), rows) + np.int32(written)
            messages.append(write(found.dictionary))
            written += len(found.dictionary)
    return _by_frequency(codes.T, *map(np.concatenate, zip(*messages, strict=True)))


def _by_frequency(
    codes: NDArray[np.int32], messages: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int32], bytes]:
    """Codes and messages in the order of how often the values occur."""
    often = np.bincount(codes.ravel() + 1, minlength=len(lengths) + 1)[1:]
    order = np.argsort(-often, kind="stable")
    places = np.empty(len(order) + 1, np.int32)
    places[order], places[-1] = np.arange(len(order)), -1
    return places[codes], ragged.chosen(messages, lengths, order).tobytes()


def _bools(values: pa.Array) -> Ragged:
    out = np.empty((len(values), 4), np.uint8)
    out[:, :3] = _VALUE, 2, _BOOL
    out[:, 3] = values.to_numpy(zero_copy_only=False)
    return ragged.even(out)


def _doubles(values: pa.Array) -> Ragged:
    out = np.empty((len(values), 11), np.uint8)
    out[:, :3] = _VALUE, 9, _DOUBLE
    out[:, 3:] = values.to_numpy().astype("<f8").view(np.uint8).reshape(-1, 8)
    return ragged.even(out)


def _integers(values: pa.Array) -> Ragged:
    signed = values.to_numpy()
    below = signed < 0
    return _numbers(np.where(below, zigzag(signed), signed.view(np.uint64)), np.where(below, _SIGNED, _UNSIGNED))


def _bigs(values: pa.Array) -> Ragged:
    return _numbers(values.to_numpy(), np.full(len(values), _UNSIGNED))


def _numbers(values: Numbers, fields: NDArray[Any]) -> Ragged:
    out = np.empty((len(values), 4), np.uint64)
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = _VALUE, 1 + sizes(values), fields, values
    return varints(ragged.even(out))


def _texts(values: pa.Array) -> Ragged:
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    lengths = ends[1:] - ends[:-1]
    heads = np.empty((len(values), 4), np.uint32)
    heads[:, 0], heads[:, 2], heads[:, 3] = _VALUE, _TEXT, lengths
    heads[:, 1] = 1 + sizes(heads[:, 3]) + lengths
    text = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]
    return ragged.interleaved([varints(ragged.even(heads)), Ragged(text, lengths)])


_WRITERS: Final[dict[str, Callable[[pa.Array], Ragged]]] = {
    "text": _texts,
    "double": _doubles,
    "integer": _integers,
    "unsigned": _bigs,
    "bool": _bools,
}
