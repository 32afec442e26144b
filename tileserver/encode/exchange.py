"""Results from one UDF to another, as they were returned: arrays as npy, tables as Arrow, the rest as JSON.

No pickles: a body may come out of a cache, and reading it must never run code.
"""

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson

from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import article, is_a, is_arrow, is_georeferenced
from tileserver.errors import BadResultError

ARRAY: Final = "application/x-npy"
MASKED: Final = "application/x-npy; masked"
PLACED: Final = "application/x-npy; bounds"
FRAME: Final = "application/vnd.apache.arrow.stream"
TABLE: Final = "application/vnd.apache.arrow.stream; table"
DATA: Final = "application/json"
BYTES: Final = "application/octet-stream"
_ACTIVE: Final = b"tileserver:geometry"
"""The schema's metadata: which of the geometry columns is the active one."""


def draw(result: Any) -> Drawn:
    """A result in the form that `read` understands.

    Raises:
        BadResultError: it has no such form.
    """
    if is_a(result, "pandas", "Series"):
        result = result.to_frame(result.name if result.name is not None else _name(result))
    for fits, media_type, write in _WRITERS:
        if fits(result):
            return Drawn(body=write(result), media_type=media_type)
    return Drawn(body=_json(result), media_type=DATA)


def read(body: bytes | memoryview, media_type: str) -> Any:
    """What `draw` was given: an array (masked where it was), a (Geo)DataFrame, an Arrow table, bytes, or plain data.

    A (Geo)Series comes back as a (Geo)DataFrame. An array with bounds is again a tuple of the two, the bounds a list;
    other tuples come back as lists, and numbers of NumPy as numbers of Python.
    """
    return _READERS[media_type](body)


def _name(series: Any) -> str:
    """That of the column which a Series without a name becomes."""
    return "geometry" if is_a(series, "geopandas", "GeoSeries") else "value"


def _is_array(result: Any) -> bool:
    return is_a(result, "numpy", "ndarray") and not result.dtype.hasobject


def _is_masked(result: Any) -> bool:
    return isinstance(result, np.ma.MaskedArray) and not result.dtype.hasobject


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def _read_npy(body: bytes) -> Any:
    return np.load(io.BytesIO(body), allow_pickle=False)


def _masked(array: Any) -> bytes:
    return _npy(array.data) + _npy(np.ma.getmaskarray(array))


def _read_masked(body: bytes) -> Any:
    stream = io.BytesIO(body)
    data, mask = np.load(stream, allow_pickle=False), np.load(stream, allow_pickle=False)
    return np.ma.MaskedArray(data, mask)


def _is_placed(result: Any) -> bool:
    return is_georeferenced(result) and _is_array(result[0]) and np.shape(result[1]) == (4,)


def _placed(result: Any) -> bytes:
    array, bounds = result
    mask = _npy(np.ma.getmaskarray(array)) if _is_masked(array) else b""
    return _npy(np.asarray(bounds, "float64")) + _npy(np.ma.getdata(array)) + mask


def _read_placed(body: bytes) -> Any:
    stream = io.BytesIO(body)
    bounds, array = np.load(stream, allow_pickle=False), np.load(stream, allow_pickle=False)
    if stream.tell() < len(body):
        array = np.ma.MaskedArray(array, np.load(stream, allow_pickle=False))
    return array, bounds.tolist()


def _arrow(table: Any) -> bytes:
    import pyarrow as pa

    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def _frame(frame: Any) -> bytes:
    """A DataFrame or GeoDataFrame, with index, CRS and column types in the schema's metadata."""
    import pyarrow as pa

    try:
        if not is_a(frame, "geopandas", "GeoDataFrame") or "geometry" not in frame.dtypes.astype(str).to_numpy():
            return _arrow(pa.Table.from_pandas(frame))
        table = pa.table(frame.to_arrow())
        active = (frame.active_geometry_name or "").encode()
        return _arrow(table.replace_schema_metadata({**(table.schema.metadata or {}), _ACTIVE: active}))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadResultError(f"the function's table cannot be handed to another function: {error}") from error


def _is_table(result: Any) -> bool:
    """Not a DataArray, which hands itself over as a table of its cells."""
    return is_arrow(result) and not is_a(result, "xarray", "DataArray")


def _read_table(body: bytes) -> Any:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        return reader.read_all()


def _read_frame(body: bytes) -> Any:
    table = _read_table(body)
    active = (table.schema.metadata or {}).get(_ACTIVE)
    if active is None:
        return table.to_pandas()
    import geopandas

    return geopandas.GeoDataFrame.from_arrow(table, geometry=active.decode() or None)


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadResultError(
            f"the function's {type(value).__name__} cannot be handed to another function ({error.__cause__ or error}); "
            "return an array, a table, text, bytes, or plain lists and dicts"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    raise TypeError(f"it holds {article(type(value).__name__)}")


_WRITERS: Final[tuple[tuple[Callable[[Any], bool], str, Callable[[Any], bytes]], ...]] = (
    (_is_masked, MASKED, _masked),
    (_is_array, ARRAY, _npy),
    (_is_placed, PLACED, _placed),
    (lambda result: is_a(result, "pandas", "DataFrame"), FRAME, _frame),
    (_is_table, TABLE, lambda result: _arrow(_as_table(result))),
    (lambda result: isinstance(result, (bytes, bytearray, memoryview)), BYTES, bytes),
)


def _as_table(result: Any) -> Any:
    import pyarrow as pa

    return result if isinstance(result, pa.Table) else pa.table(result)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    ARRAY: _read_npy,
    MASKED: _read_masked,
    PLACED: _read_placed,
    FRAME: _read_frame,
    TABLE: _read_table,
    DATA: orjson.loads,
    BYTES: bytes,
}
