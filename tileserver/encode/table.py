"""Tables and the attributes of features as Parquet, Feather, Excel, CSV, JSON and HTML."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from html import escape
from itertools import chain
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
from pyarrow.feather import write_feather

from tileserver.encode import facts
from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import is_a, is_arrow
from tileserver.encode.page import page
from tileserver.errors import BadResultError, FormatNotPossibleError
from tileserver.jobs import Output

_PREVIEWED: Final = 1000
"""Rows."""


def draw(result: Any, name: str, output: Output, *, sample: bool = False) -> Drawn:
    """A DataFrame, Series, Arrow table or what hands itself over as one, in a table's format.

    Raises:
        BadResultError: two columns share a name, or the format has no way to write a value.
        FormatNotPossibleError: the library for the format is not installed.
    """
    frame = named(read(result))
    sampled = facts.of_frame(frame, geometry=False) if sample else {}
    with writing(name):
        return Drawn.of(name, written(frame, name, output), **sampled)


def written(frame: Any, name: str, output: Output) -> bytes:
    """A (Geo)DataFrame in a table's format."""
    return csv(frame, index=output.indexed) if name == "csv" else _WRITERS[name](frame)


def read(result: Any) -> pd.DataFrame:
    """The table as a DataFrame."""
    if isinstance(result, pd.Series):
        return result.to_frame(result.name if result.name is not None else "value")
    # floats would stand for integers of which one is missing, and are exact to 2**53 only
    return result if isinstance(result, pd.DataFrame) else arrow(result).to_pandas(integer_object_nulls=True)


def named(frame: Any) -> Any:
    """The frame with text as the names of its columns; the levels of one name are joined by underscores.

    Raises:
        BadResultError: two columns share a name.
    """
    names = [column_name(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadResultError(f"the function returned a table with two columns named '{twice}'; rename one of them")
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)


def column_name(name: Any) -> str:
    """A column's name as text."""
    return "_".join(str(level) for level in name if level != "") if isinstance(name, tuple) else str(name)


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Says of what a library cannot write in the format `name` that it is the result's fault."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError, pa.ArrowException) as error:
        raise BadResultError(f"the function's result cannot be written as {name}: {error}") from error


def arrow(result: Any) -> Any:
    """The table as a `pyarrow.Table`, by the Arrow stream protocol."""
    return result if isinstance(result, pa.Table) or not is_arrow(result) else pa.table(result)


def parquet(frame: Any) -> bytes:
    """Parquet, or GeoParquet of a GeoDataFrame; an index that is no plain count is kept."""
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def feather(frame: Any) -> bytes:
    """An Arrow file, with geometries as GeoParquet has them; an index that is no plain count is kept."""
    stream = io.BytesIO()
    if is_a(frame, "geopandas", "GeoDataFrame"):
        frame.to_feather(stream)
    else:
        write_feather(pa.Table.from_pandas(frame), stream)
    return stream.getvalue()


def excel(frame: Any) -> bytes:
    """A workbook with one sheet, without the index; geometries as WKT. A text that begins with `=` is no formula.

    Raises:
        FormatNotPossibleError: openpyxl is not installed.
    """
    stream = io.BytesIO()
    try:
        with pd.ExcelWriter(stream, engine="openpyxl") as book:
            _with_wkt(frame).to_excel(book, index=False)
            for cell in chain.from_iterable(book.book.active.iter_rows()):
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    except ImportError:
        message = "'excel' needs the library openpyxl, which this server does not have; ask for csv."
        raise FormatNotPossibleError(message) from None
    return stream.getvalue()


def csv(frame: Any, *, index: bool) -> bytes:
    """CSV with a header; geometries as WKT."""
    return _with_wkt(frame).to_csv(index=index).encode()


def html(frame: Any) -> bytes:
    """An HTML table with a header, without the index; text is escaped, geometries are WKT, missing values nothing."""
    return f'<!doctype html>\n<meta charset="utf-8">\n{_table(frame)}'.encode("utf-8", "replace")


def preview(frame: Any) -> bytes:
    """A page with the first rows, and how many there are."""
    count = f"{len(frame):,} rows" + f", the first {_PREVIEWED:,} of them here" * (len(frame) > _PREVIEWED)
    return page(f"<p>{count}</p>\n{_table(frame.head(_PREVIEWED))}")


def _table(frame: Any) -> str:
    shown = _with_wkt(frame).astype(object)
    shown = shown.where(shown.notna(), "")
    head = _html_row("th", shown.columns)
    rows = "".join(_html_row("td", row) for row in shown.itertuples(index=False, name=None))
    return f"<table>\n<thead>\n{head}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n"


def _html_row(tag: str, values: Iterable[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values) + "</tr>\n"


def _with_wkt(frame: Any) -> pd.DataFrame:
    """The frame with text in place of geometries."""
    import shapely

    shown = pd.DataFrame(frame).copy(deep=False)
    for name in _geometry_columns(frame):
        shown[name] = shapely.to_wkt(frame[name].to_numpy(), rounding_precision=-1)
    return shown


def json(frame: Any) -> bytes:
    """A list of records, without the index; geometries as GeoJSON objects, NaN as null, datetimes as ISO 8601."""
    shown = pd.DataFrame(frame).astype(object)
    for name in _geometry_columns(frame):
        from tileserver.encode import vector

        shown[name] = pd.Series(vector.geometries(frame[name].to_numpy()), index=frame.index, dtype=object)
    return dumps(rows(shown))


def empty(name: str) -> bytes:
    """A file without columns and rows; raises FormatNotPossibleError where its library is not installed."""
    return _WRITERS[name](pd.DataFrame())


_WRITERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "parquet": parquet,
    "feather": feather,
    "excel": excel,
    "json": json,
    "html": html,
    "preview": preview,
}


def attributes(frame: Any) -> list[Any]:
    """The names of the columns that are no geometry."""
    return [name for name in frame.columns if frame[name].dtype.name != "geometry"]


def rows(frame: Any) -> list[dict[str, Any]]:
    """A dict per row, by the columns' names as text."""
    if not len(frame.columns):
        return [{} for _ in range(len(frame))]
    columns = [frame[name].astype(object).tolist() for name in frame.columns]
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def dumps(value: Any) -> bytes:
    """JSON: NumPy is understood, NaN and NaT are null, dates ISO 8601, decimals numbers, bytes hexadecimal, geometries
    GeoJSON, tables records, what else there is its `str`.
    """
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):  # tuples with named fields, such as bounds
        return list(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    if isinstance(value, pd.DataFrame):
        return rows(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _geometry_columns(frame: Any) -> list[Any]:
    return [name for name in frame.columns if frame[name].dtype.name == "geometry"]
