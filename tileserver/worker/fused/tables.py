"""Fused tables: GeoParquet files in chunks, and a sample that says what each covers (hosted API, section 3.4)."""

import base64
import io
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from tileserver.errors import CallError

_VERSION: Final = b"5"
_BOX: Final = ("bbox_minx", "bbox_miny", "bbox_maxx", "bbox_maxy")


def get_chunks_metadata(url: str) -> Any:
    """A GeoDataFrame with a row for each chunk of a table: `file_id`, `chunk_id`, and the rectangle that it covers.

    Raises:
        CallError: there is no Fused table, or one in a version that cannot be read.
    """
    import geopandas
    import pandas
    import shapely

    with _opened(f"{url.rstrip('/')}/_sample") as file:
        told = file.metadata.metadata or {}
    if told.get(b"fused:format_version") != _VERSION:
        raise CallError(f"{url} is no Fused table of version {_VERSION.decode()}")
    chunks = pandas.read_parquet(io.BytesIO(base64.b64decode(told[b"fused:_metadata"])))
    return geopandas.GeoDataFrame(chunks, geometry=shapely.box(*(chunks[name] for name in _BOX)), crs=4326)


def get_chunk_from_table(
    url: str, file_id: str | int | None, chunk_id: int | None, *, columns: Iterable[str] | None = None
) -> Any:
    """The rows of a chunk as a GeoDataFrame, or a DataFrame where the table has no geometry.

    Args:
        file_id: as `get_chunks_metadata` gives it; None reads the file at `url` itself.
        chunk_id: as it gives it; None reads all of the file.
        columns: those that are wanted; None takes all.
    """
    place = url if file_id is None else f"{url.rstrip('/')}/{file_id}.parquet"
    wanted = list(columns) if columns is not None else None
    with _opened(place) as file:
        table = file.read(columns=wanted) if chunk_id is None else file.read_row_group(int(chunk_id), columns=wanted)
    return _frame(table)


def _opened(url: str) -> Any:
    """A Parquet file: over HTTP as a whole, elsewhere only what is read of it."""
    import pyarrow.parquet as pq
    from pyarrow.fs import FileSystem, LocalFileSystem

    from tileserver.worker.fused.files import download

    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return pq.ParquetFile(download(url, f"tables/{scheme}/{url.partition('://')[2]}"))
    system, path = FileSystem.from_uri(url) if scheme else (LocalFileSystem(), url)
    return pq.ParquetFile(system.open_input_file(path))


def _frame(table: Any) -> Any:
    """With geometry as the file's metadata say (GeoParquet), in EPSG:4326 where they do not say."""
    frame = table.to_pandas()
    told = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = told.get("primary_column")
    if name not in frame:
        return frame
    import geopandas
    import shapely

    reference = told["columns"][name].get("crs") or 4326
    frame[name] = shapely.from_wkb(frame[name].to_numpy())
    return geopandas.GeoDataFrame(frame, geometry=name, crs=reference)
