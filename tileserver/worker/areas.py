"""What a tile covers, in the forms that `fused.types` names (hosted API, section 3.3), out of what people write."""

import json
from collections.abc import Callable
from typing import Any, Final

from tileserver.annotations import Annotation
from tileserver.tiles import Bounds, Tile

_XYZ: Final = ["x", "y", "z"]


def area(annotation: Annotation, value: Any) -> Any:
    """A tile, a box or a frame in the form that the annotation names.

    Args:
        value: a `Tile`; a GeoDataFrame, a shapely geometry, or a sequence of west, south, east, north; or a text: these
            four as JSON or between commas, GeoJSON, or z/x/y. Without an annotation only a `Tile` changes.

    Raises:
        ValueError: a text says none of these. (Libraries raise others of a text that only looks like one.)
    """
    if value is None:
        return None
    form = _FORMS.get(annotation.name)
    if form is not None:
        return form(frame(value))
    return frame(value) if isinstance(value, Tile) else value


def frame(value: Any) -> Any:
    """A GeoDataFrame, EPSG:4326; of a tile one row with x, y, z and its rectangle. Takes what `area` takes."""
    import geopandas
    from shapely.geometry import box

    if isinstance(value, geopandas.GeoDataFrame):
        return value if value.crs is None or value.crs.to_epsg() == 4326 else value.to_crs(4326)
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, dict):
        return geopandas.GeoDataFrame.from_features(_features(value), crs=_crs(value)).to_crs(4326)
    if isinstance(value, Tile):
        columns = {"x": [value.x], "y": [value.y], "z": [value.z]}
        return geopandas.GeoDataFrame(columns, geometry=[box(*value.bounds)], crs=4326)
    shape = value if hasattr(value, "geom_type") else box(*Bounds(*map(float, value)))
    return geopandas.GeoDataFrame(geometry=[shape], crs=4326)


def _read(text: str) -> Any:
    """A tile of z/x/y; a list of numbers; else what the JSON says."""
    if text.count("/") == 2 and text.replace("/", "").isdecimal():
        return Tile(*map(int, text.split("/")))
    return json.loads(text if text.lstrip()[:1] in {"[", "{"} else f"[{text}]")


def _features(document: dict[str, Any]) -> list[Any]:
    """Those of GeoJSON: a collection's, a single one, or one of a geometry."""
    if "features" in document:
        return list(document["features"])
    if "geometry" in document:
        return [document]
    if "coordinates" in document or "geometries" in document:
        return [{"type": "Feature", "properties": {}, "geometry": document}]
    raise ValueError("this is no GeoJSON")


def _crs(document: dict[str, Any]) -> Any:
    """What the member `crs` of older GeoJSON says, as geopandas still writes it; else degrees."""
    import pyproj

    named = document.get("crs")
    try:
        return pyproj.CRS(named["properties"]["name"]) if named else 4326
    except pyproj.exceptions.CRSError:
        raise ValueError("this is no reference system") from None


def _with_tile(area: Any) -> Any:
    """With x, y and z: of the smallest tile around it, where it has none."""
    if set(_XYZ) <= set(area.columns):
        return area
    tile = _tile(area)
    return area.assign(x=tile.x, y=tile.y, z=tile.z)[[*_XYZ, area.geometry.name]]


def _tile(area: Any) -> Any:
    import mercantile

    if set(_XYZ) <= set(area.columns):
        return mercantile.Tile(*(int(area[name].iloc[0]) for name in _XYZ))
    return mercantile.bounding_tile(*area.total_bounds)


def _without_tile(area: Any) -> Any:
    return area.drop(columns=_XYZ, errors="ignore")


def _bounds(area: Any) -> list[float]:
    return [float(each) for each in area.total_bounds]


def _box(area: Any) -> Any:
    from shapely.geometry import box

    return box(*area.total_bounds)


_FORMS: Final[dict[str, Callable[[Any], Any]]] = {
    "Tile": _with_tile,
    "TileGDF": _with_tile,
    "ViewportGDF": _without_tile,
    "GeoDataFrame": lambda area: area,
    "TileXYZ": _tile,
    "Bounds": _bounds,
    "list": _bounds,
    "tuple": lambda area: tuple(_bounds(area)),
    "Bbox": _box,
}
