"""Features: from all that may hold them to a GeoDataFrame, and from there to a format."""

import json
from typing import Any

import geopandas
import numpy as np
import orjson
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from tileserver.encode import budget, clip, facts, table
from tileserver.encode.clip import Near, Some
from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import is_geojson, is_layers
from tileserver.errors import BadResultError, FormatNotPossibleError, ResultTooLargeError
from tileserver.jobs import Output
from tileserver.tiles import Tile


def draw(result: Any, name: str, output: Output, tile: Tile | None, *, sample: bool = False) -> Drawn:
    """A vector result as mvt (clipped to the tile), geojson, or in a table's format.

    On a tile these hold the features that meet it, whole, or with `output.clip` as a vector tile cuts them; their
    coordinates are degrees (EPSG:4326), but Parquet and Feather of a file keep the CRS of the result, or that it has
    none.

    Raises:
        BadResultError: the result has no CRS and is not in degrees, or one that has no place on the Earth, is not
            readable as features, or cannot be written in the format.
        FormatNotPossibleError: mvt without a tile.
        ResultTooLargeError: the vector tile is above `output.max_tile_bytes`.
    """
    try:
        if isinstance(result, Near):
            return _near(result, output, tile, sample=sample)
        if is_layers(result):
            near = Near({layer: Some(read(frame)) for layer, frame in result.items()}, named=True)
            return _near(near, output, tile, sample=sample)
        return _drawn(read(result), name, output, tile, sample=sample)
    except pyproj.exceptions.ProjError as error:
        raise BadResultError(f"the CRS of the function's features does not lead to degrees: {error}") from error


def _drawn(frame: geopandas.GeoDataFrame, name: str, output: Output, tile: Tile | None, *, sample: bool) -> Drawn:
    sampled = facts.of_frame(frame, geometry=True) if sample else {}
    if name == "mvt":
        return _tile({output.layer: Some(frame)}, output, tile, sampled)
    if name not in ("parquet", "feather") or tile is not None:
        frame = in_degrees(with_crs(frame))
    if tile is not None:
        frame = clipped(frame, tile, output.buffer) if output.clip else meeting(frame, tile)
    with table.writing(name):
        body = geojson(frame, output.id_column) if name == "geojson" else table.written(frame, name, output)
    return Drawn.of(name, body, empty=not len(frame), **sampled)


def read(result: Any) -> geopandas.GeoDataFrame:
    """A GeoDataFrame of a GeoSeries, Arrow table, GeoJSON object, list of features or shapely geometry.

    GeoJSON and GeoParquet are in degrees unless they say otherwise.

    Raises:
        BadResultError: there is no geometry.
    """
    try:
        return _named(_frame(result))
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise BadResultError(f"the function's {type(result).__name__} is not readable as features: {error}") from error


def in_degrees(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The frame in EPSG:4326."""
    return frame if frame.crs.to_epsg() == 4326 else frame.to_crs(4326)


def meeting(frame: geopandas.GeoDataFrame, tile: Tile) -> geopandas.GeoDataFrame:
    """The features of a frame in degrees that meet the tile, its edge counted in; not clipped."""
    shapes, rows = clip.around(frame.geometry.to_numpy(), np.arange(len(frame)))
    shapes, rows, _ = clip.near(shapes, rows, tile.bounds)
    meets = np.zeros(len(frame), bool)
    meets[rows[shapely.intersects(shapes, shapely.box(*tile.bounds))]] = True
    return frame[meets]


def clipped(frame: geopandas.GeoDataFrame, tile: Tile, buffer: int) -> geopandas.GeoDataFrame:
    """What of the features of a frame in degrees lies on the tile plus `buffer` of its 4,096 units."""
    shapes = clip.cut(frame.geometry.to_numpy(), tile, 4096, buffer)
    return frame.set_geometry(geopandas.GeoSeries(shapes, frame.index, crs=frame.crs))[~shapely.is_empty(shapes)]


def geojson(frame: geopandas.GeoDataFrame, id_column: str | None = None) -> bytes:
    """A FeatureCollection (RFC 7946) of a frame in degrees; ids are those of `id_column`, else of an integer index."""
    names = table.attributes(frame)
    ids: Any = frame[id_column] if id_column in frame.columns else frame.index
    numbered = pd.api.types.is_integer_dtype(ids.dtype) or id_column in frame.columns
    features = [
        {"type": "Feature"} | ({"id": one} if numbered else {}) | {"geometry": shape, "properties": properties}
        for one, shape, properties in zip(
            ids.tolist(), geometries(frame.geometry.to_numpy()), table.rows(frame[names]), strict=True
        )
    ]
    return table.dumps({"type": "FeatureCollection", "features": features})


def geometries(shapes: NDArray[Any]) -> list[orjson.Fragment | None]:
    """GeoJSON geometries, written by GEOS."""
    return [None if text is None else orjson.Fragment(text) for text in shapely.to_geojson(shapes)]


def _near(near: Near, output: Output, tile: Tile | None, *, sample: bool) -> Drawn:
    """A vector tile of layers, or of features that are none."""
    layers = near.layers
    sampled = {name: facts.of_frame(some.alone(), geometry=True) for name, some in layers.items()} if sample else {}
    if near.named:
        return _tile(layers, output, tile, {"layers": sampled} if sample else {})
    [some] = layers.values()
    return _tile({output.layer: some}, output, tile, next(iter(sampled.values()), {}))


def _tile(layers: dict[str, Some], output: Output, tile: Tile | None, sampled: dict[str, Any]) -> Drawn:
    """A vector tile with a layer of each."""
    if tile is None:
        raise FormatNotPossibleError("a vector tile needs a tile; ask for geojson, parquet, csv or json")
    placed = {name: some._replace(frame=with_crs(some.frame)) for name, some in layers.items()}
    fitted = budget.encode(placed, tile, limit=output.max_tile_bytes, buffer=output.buffer, id_column=output.id_column)
    if len(fitted.body) > output.max_tile_bytes:
        raise ResultTooLargeError(
            f"the vector tile has {len(fitted.body):,} bytes with a single feature; max_tile_bytes allows "
            f"{output.max_tile_bytes:,}"
        )
    return Drawn.of("mvt", fitted.body, empty=not fitted.body, changes=fitted.changes, **sampled)


def _frame(result: Any) -> geopandas.GeoDataFrame:
    if isinstance(result, geopandas.GeoDataFrame):
        return _with_geometry(result)
    if isinstance(result, geopandas.GeoSeries):
        return geopandas.GeoDataFrame(geometry=result)
    if isinstance(result, shapely.Geometry):
        return geopandas.GeoDataFrame(geometry=[result])
    if is_geojson(result):
        return _of_features(_features(result), _crs_of(result))
    return _of_arrow(table.arrow(result))


def _features(result: Any) -> list[dict[str, Any]]:
    if isinstance(result, list):
        return result
    if result["type"] == "FeatureCollection":
        return list(result["features"])
    return [result if result["type"] == "Feature" else {"geometry": result}]


def _with_geometry(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The frame, if it has an active geometry; without a row it needs none."""
    if frame.active_geometry_name is not None:
        return frame
    if len(frame):
        raise BadResultError("the function's GeoDataFrame has no active geometry; call set_geometry on it")
    return geopandas.GeoDataFrame(geometry=[], crs=4326)


def _named(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The frame with text as the names of its columns."""
    named = table.named(frame)
    return frame if named is frame else named.set_geometry(table.column_name(frame.active_geometry_name))


def _crs_of(result: Any) -> Any:
    """What the member `crs` of older GeoJSON says, as geopandas still writes it; else degrees."""
    named = result.get("crs") if isinstance(result, dict) else None
    return named["properties"]["name"] if named else 4326


def _of_features(features: list[dict[str, Any]], crs: Any) -> geopandas.GeoDataFrame:
    """The features' ids become the index where all are integers."""
    texts = [None if one.get("geometry") is None else table.dumps(one["geometry"]).decode() for one in features]
    ids = [one.get("id") for one in features]
    index = pd.Index(ids) if ids and all(type(one) is int for one in ids) else pd.RangeIndex(len(features))
    properties = pd.DataFrame([one.get("properties") or {} for one in features], index=index, dtype=object)
    shapes = shapely.from_geojson(np.array(texts, object))
    name = "geometry"
    while name in properties:  # a property of that name stays
        name += "_"
    placed = geopandas.GeoSeries(shapes, index=index, crs=crs)
    return geopandas.GeoDataFrame(properties.assign(**{name: placed}), geometry=name)


def _of_arrow(result: Any) -> geopandas.GeoDataFrame:
    metadata = json.loads((result.schema.metadata or {}).get(b"geo", b"null"))
    if metadata is None:
        return geopandas.GeoDataFrame.from_arrow(result)
    name = metadata["primary_column"]
    crs = metadata["columns"][name].get("crs", 4326)
    frame = result.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    shapes = geopandas.GeoSeries(shapely.from_wkb(frame[name].to_numpy()), crs=crs, index=frame.index)
    return geopandas.GeoDataFrame(frame.assign(**{name: shapes}), geometry=name)


def with_crs(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The frame, in degrees where nothing says otherwise and nothing speaks against it; raises BadResultError."""
    if frame.crs is not None:
        return frame
    bounds = np.abs(frame.total_bounds)
    if (bounds > (180, 90, 180, 90)).any():
        raise BadResultError("the function's geometries have no CRS and are not in degrees; call set_crs on them")
    return frame.set_crs(4326)
