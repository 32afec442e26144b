"""What a UDF returned: a raster, a vector, a table or a document. Looks only into libraries that are already loaded."""

import io
import sys
from datetime import date, time
from functools import lru_cache
from typing import Any, Final, TypeGuard
from uuid import UUID

from tileserver.errors import BadResultError
from tileserver.formats import Kind, Response

GEOMETRIES: Final = frozenset(
    ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
)
"""The `type` of a GeoJSON geometry."""

_RETURNABLE: Final = (
    "return an array, a (array, bounds) pair, a rio-tiler ImageData, an xarray DataArray, a GeoDataFrame, GeoJSON, "
    "a shapely geometry, a DataFrame, an Arrow table, a dict, list, number, str or bytes, a PIL image, "
    "a matplotlib figure, a tileserver Response, or None"
)
_DATA: Final = (
    str, bytes, bytearray, memoryview, io.BytesIO, Response,
    dict, list, tuple, set, frozenset, bool, int, float, date, time, UUID,
)  # fmt: skip

_NO_JSON: Final[frozenset[Kind | None]] = frozenset({Kind.RASTER, Kind.VECTOR, Kind.TABLE})

_LIBRARIES: Final = (
    (Kind.VECTOR, "geopandas", ("GeoDataFrame", "GeoSeries")),
    (Kind.VECTOR, "shapely", ("Geometry",)),
    (Kind.VECTOR, "tileserver.encode.clip", ("Near",)),
    (Kind.RASTER, "numpy", ("ndarray",)),
    (Kind.RASTER, "rio_tiler.models", ("ImageData",)),
    (Kind.RASTER, "tileserver.encode.raster", ("Raster",)),
    (Kind.RASTER, "tileserver.encode.smooth", ("Smooth",)),
    (Kind.RASTER, "xarray", ("DataArray", "Dataset")),
    (Kind.TABLE, "pandas", ("DataFrame", "Series")),
    (Kind.DOCUMENT, "numpy", ("generic",)),
    (Kind.DOCUMENT, "PIL.Image", ("Image",)),
    (Kind.DOCUMENT, "matplotlib.figure", ("Figure",)),
)


def kind_of(result: object) -> Kind:
    """The kind of a result that is not None.

    Raises:
        BadResultError: nothing can be made of it; the message says what it is and what may be returned.
    """
    if is_georeferenced(result):
        return Kind.RASTER
    if is_geojson(result) or is_layers(result):
        return Kind.VECTOR
    kind = _kind_of_class(type(result))  # type: ignore[arg-type]  # mypy takes the class for an object without a hash
    if kind is not None:
        return kind
    if is_arrow(result):
        return Kind.VECTOR if has_geometry(result) else Kind.TABLE
    raise BadResultError(f"the function returned {article(type(result).__name__)}; {_RETURNABLE}")


@lru_cache(64)
def _kind_of_class(result: type) -> Kind | None:
    """The kind that the class alone tells; an object's library is loaded, so what is found once holds for good."""
    for kind, module, names in _LIBRARIES:
        if issubclass(result, _classes(module, names)):
            return kind
    return Kind.DOCUMENT if issubclass(result, _DATA) and not is_arrow(result) else None


def is_a(result: object, module: str, *names: str) -> bool:
    """Whether `result` is an instance of one of the classes `names` of a module; False where that is not loaded."""
    return isinstance(result, _classes(module, names))


def _classes(module: str, names: tuple[str, ...]) -> tuple[type, ...]:
    loaded = sys.modules.get(module)
    return tuple(getattr(loaded, name) for name in names) if loaded else ()


def is_georeferenced(result: object) -> bool:
    """Whether `result` is an (array, bounds) pair."""
    return isinstance(result, tuple) and len(result) == 2 and is_a(result[0], "numpy", "ndarray")


def is_geojson(result: object) -> bool:
    """Whether `result` is a GeoJSON object (RFC 7946) as dicts and lists, or a list of features."""
    if isinstance(result, list):
        return bool(result) and all(isinstance(one, dict) and one.get("type") == "Feature" for one in result)
    if not isinstance(result, dict):
        return False
    match result.get("type"):
        case "FeatureCollection":
            return "features" in result
        case "Feature":
            return "geometry" in result
        case str(name) if name in GEOMETRIES:
            return "coordinates" in result or "geometries" in result
    return False


def is_layers(result: object) -> TypeGuard[dict[str, Any]]:
    """Whether `result` is a dict of GeoDataFrames: of each a layer in a vector tile."""
    return (
        is_named(result) and bool(result) and all(is_a(each, "geopandas", "GeoDataFrame") for each in result.values())
    )


def is_dict_of_parts(result: object) -> bool:
    """Whether `result` is a dict that names results of kinds for which JSON has no form of its own."""
    return is_named(result) and any(_is_part(value) for value in result.values())


def _is_part(value: object) -> bool:
    kind = _kind_of_class(type(value))  # type: ignore[arg-type]  # as above
    return kind in _NO_JSON or is_georeferenced(value) or is_arrow(value)


def is_named(result: object) -> TypeGuard[dict[str, Any]]:
    """Whether `result` is a dict with text as keys."""
    return isinstance(result, dict) and all(isinstance(name, str) for name in result)


def is_arrow(result: object) -> bool:
    """Whether `result` is an Arrow table, or hands itself over as one (as Polars and DuckDB do)."""
    return hasattr(result, "__arrow_c_stream__")


def has_geometry(result: Any) -> bool:
    """Whether an Arrow table has a geometry: GeoParquet's metadata `geo`, or a GeoArrow column."""
    schema = getattr(result, "schema", None)
    if schema is None or not is_a(schema, "pyarrow", "Schema"):
        return False
    return b"geo" in (schema.metadata or {}) or any(_is_geoarrow(field) for field in schema)


def _is_geoarrow(field: Any) -> bool:
    named = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    return str(getattr(field.type, "extension_name", named)).startswith("geoarrow.")


def article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
