"""Values as plain JSON that two processes with different libraries can compare; each test describes what it expects.

Imported by the tests and, in another environment, by `driver.py`: the standard library only.
"""

import hashlib
from collections.abc import Callable
from typing import Any


def described(value: Any) -> Any:
    """What JSON can say of a value: plain data as it is, everything else with its type and what is in it."""
    for base in type(value).__mro__:
        describe = _DESCRIBE.get(f"{base.__module__.partition('.')[0]}.{base.__name__}")
        if describe is not None:
            return describe(value)
    return {"type": type(value).__name__, "text": str(value)[:300]}


def array(values: Any) -> dict[str, Any]:
    """Type, shape and a digest of the elements, in the order of C and with the low byte first."""
    plain = values.astype(values.dtype.newbyteorder("<"), order="C")
    return {
        "type": "ndarray",
        "dtype": str(values.dtype),
        "shape": list(values.shape),
        "digest": _digest(plain.tobytes()),
    }


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _items(kind: str) -> Callable[[Any], Any]:
    return lambda values: {"type": kind, "items": [described(each) for each in values]}


def _frame(frame: Any) -> dict[str, Any]:
    columns = {str(name): _column(frame[name]) for name in frame.columns}
    return {"type": "DataFrame", "index": [_cell(each) for each in frame.index], "columns": columns}


def _features(frame: Any) -> dict[str, Any]:
    told = _frame(frame.drop(columns=frame.geometry.name)) if len(frame.columns) > 1 else {"columns": {}}
    crs = frame.crs.to_epsg() if frame.crs else None
    return told | {"type": "GeoDataFrame", "crs": crs, "geometry": [each.wkt for each in frame.geometry]}


def _column(series: Any) -> dict[str, Any]:
    # What holds text is `object` in one version of pandas and `str` in the next; times differ in their unit.
    kind = {"O": "text", "U": "text", "T": "text", "M": "datetime"}.get(series.dtype.kind, str(series.dtype))
    return {"dtype": kind, "values": [_cell(each) for each in series.tolist()]}


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_cell(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _variable(values: Any) -> dict[str, Any]:
    return array(values.values) | {"dims": list(values.dims)}


def _dataset(values: Any) -> dict[str, Any]:
    return {"type": "Dataset", "variables": {str(name): _variable(each) for name, each in values.data_vars.items()}}


_RESULT = ("data", "stdout", "stderr", "error_message", "error_lineno", "has_exception", "exception_class")


def _result(result: Any) -> dict[str, Any]:
    return {"type": "UdfEvaluationResult"} | {name: described(getattr(result, name, None)) for name in _RESULT}


def _model(model: Any) -> Any:
    dumped = model.model_dump(mode="json")
    return {"type": type(model).__name__, **dumped} if isinstance(dumped, dict) else dumped


def _same(value: Any) -> Any:
    return value


_DESCRIBE: dict[str, Callable[[Any], Any]] = {
    "builtins.NoneType": _same,
    "builtins.bool": _same,
    "builtins.int": _same,
    "builtins.float": _same,
    "builtins.str": lambda text: str(text),
    "builtins.bytes": lambda raw: {"type": "bytes", "text": raw.decode("latin-1")},
    "builtins.list": lambda values: [described(each) for each in values],
    "builtins.dict": lambda values: {str(name): described(each) for name, each in values.items()},
    "builtins.tuple": _items("tuple"),
    "builtins.dict_keys": lambda values: [described(each) for each in values],
    "numpy.ndarray": array,
    "numpy.generic": lambda value: {"type": str(value.dtype), "value": value.item()},
    "pandas.DataFrame": _frame,
    "geopandas.GeoDataFrame": _features,
    "xarray.DataArray": lambda values: _variable(values) | {"type": "DataArray"},
    "xarray.Dataset": _dataset,
    "fused.UdfEvaluationResult": _result,
    "pydantic.BaseModel": _model,
}
"""By the top of the module and the name of the class; the first in the order of bases counts."""
