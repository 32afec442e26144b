"""Canonical arguments to what the function's annotations ask for, and what a tile route injects."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec
from shapely.errors import ShapelyError

from tileserver.annotations import Annotation
from tileserver.errors import InvalidParameterError
from tileserver.tiles import Tile
from tileserver.udfs import Parameter, Udf, is_reserved
from tileserver.udfs import bind as canonical
from tileserver.worker import areas


def bind(udf: Udf, arguments: dict[str, Any], tile: Tile | None) -> dict[str, Any]:
    """Keyword arguments for the function.

    Args:
        arguments: canonical, by name.

    Raises:
        InvalidParameterError: a value that only the worker can judge does not convert; names the parameter.
    """
    named = {each.name: each for each in udf.parameters}
    bound = {name: _argument(named[name], value) if name in named else value for name, value in arguments.items()}
    if tile is not None:
        injected = [each for each in udf.parameters if each.injected and not is_reserved(each.name)]
        bound |= {each.name: _injected(each, tile) for each in injected}
    return bound


def bind_values(udf: Udf, values: dict[str, Any], tile: Tile | None) -> dict[str, Any]:
    """The same out of values of Python's, as a function gives them that runs another in its own process.

    Texts convert as those of a query; of the rest only what stands for an area does.

    Raises:
        InvalidParameterError: one does not convert, or a required one is missing.
    """
    named = {each.name: each for each in udf.parameters}
    texts = {name: [value] for name, value in values.items() if isinstance(value, str)}
    others = {name: value for name, value in values.items() if name not in texts and (name in named or udf.takes_all)}
    known = msgspec.structs.replace(udf, parameters=tuple(each for each in udf.parameters if each.name not in others))
    told = {name: value for name, value in canonical(known, texts, tiled=tile is not None).items() if name in texts}
    return bind(udf, told | others, tile)


def _argument(parameter: Parameter, value: Any) -> Any:
    try:
        if parameter.injected:
            return _given(parameter, value)
        return convert(parameter.annotation, value)
    except _UNCONVERTIBLE:
        wanted = _WANTED.get(parameter.injected) or _WANTED.get(parameter.annotation.name, parameter.annotation.name)
        message = f"Parameter '{parameter.name}' does not convert to {wanted}."
        raise InvalidParameterError(message, parameter=parameter.name) from None


_UNCONVERTIBLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    ShapelyError,
)
"""What the libraries say of a text that is not what they read; whose words are for no stranger."""


def convert(annotation: Annotation, value: Any) -> Any:
    """A canonical value as the annotated type."""
    if value is None:
        return None
    if annotation.name in ("list", "tuple") and isinstance(value, list):
        return _sequence(annotation, value)
    converter = _CONVERTERS.get(annotation.name)
    return converter(value) if converter and isinstance(value, str) else value


def _sequence(annotation: Annotation, values: list[Any]) -> Any:
    kinds = annotation.items if len(annotation.items) == len(values) else annotation.items[:1] * len(values)
    converted = [convert(kind, value) for kind, value in zip(kinds, values, strict=True)] if kinds else values
    return tuple(converted) if annotation.name == "tuple" else converted


def _geometry(text: str) -> Any:
    import shapely

    return shapely.from_geojson(text) if text.lstrip().startswith("{") else shapely.from_wkt(text)


def _dataframe(text: str) -> Any:
    import io

    import pandas

    return pandas.read_json(io.StringIO(text))


_SHAPES: Final = (
    *("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
    *("GeometryCollection", "Geometry", "BaseGeometry"),
)
_WANTED: Final = {
    "tile": "a tile (z/x/y)",
    "area": "an area (west,south,east,north or GeoJSON)",
    "bbox": "a box (west,south,east,north)",
    "GeoDataFrame": "a GeoDataFrame (GeoJSON, or west,south,east,north as JSON)",
    "DataFrame": "a DataFrame (JSON)",
    **dict.fromkeys(_SHAPES, "a geometry (GeoJSON or WKT)"),
}
_CONVERTERS: Final[dict[str, Callable[[str], Any]]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "UUID": uuid.UUID,
    "GeoDataFrame": areas.frame,
    "DataFrame": _dataframe,
    **dict.fromkeys(_SHAPES, _geometry),
}


def _given(parameter: Parameter, value: Any) -> Any:
    """What a file route's query, or a default, says in the place of what a tile would inject."""
    match parameter.injected:
        case "area":
            return convert(parameter.annotation, areas.area(parameter.annotation, value))
        case "tile" if isinstance(value, str):
            return Tile(*map(int, value.split("/")))
        case "bbox" if value is not None:
            return areas.frame(value)
    return value


def _injected(parameter: Parameter, tile: Tile) -> Any:
    match parameter.injected:
        case "area":
            return areas.area(parameter.annotation, tile)
        case "tile":
            return tile
        case "bounds":
            return list(tile.bounds)
        case "bbox":
            return areas.frame(tile)
        case name:
            return getattr(tile, name)
