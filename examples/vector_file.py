"""Vector tiles of a file: GeoParquet, GeoPackage, FlatGeobuf, Shapefile and whatever else GDAL opens.

Only what a tile needs is read: by the bounding-box column of GeoParquet, by the spatial index of the others. The path
is not a parameter, because whoever holds a token could then read every file that the server can. Write it below, or
set VECTOR_PATH for the server together with TILESERVER_WORKER_ENV, which names the variables that reach the functions.
With neither there is a small archipelago to look at.
"""

import json
import os
from functools import lru_cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely.affinity import scale

from tileserver import Tile, udf

PATH = ""  # put the path of your file here
BUFFER = 64 / 4096
"""What is read around a tile, in widths of it: as much as the encoder keeps."""
EDGE = 20_037_508.342789244
"""Metres: where EPSG:3857 ends, at the 180th meridian too."""
SMALL = 16_000_000
"""Bytes up to which GeoParquet is kept in memory: it has too few row groups for skipping some to pay."""
Box = tuple[float, float, float, float]


@udf(kind="vector", minzoom=0, maxzoom=22, cache_max_age="10m", max_tile_bytes=2_000_000)
def vector_file(tile: Tile) -> gpd.GeoDataFrame:
    """The features that meet the tile and a little around it, with all their attributes, in the file's own CRS."""
    path = PATH or os.environ.get("VECTOR_PATH", "") or demo()
    area = in_crs(around(tile), crs_of(path))
    frame = read(path, area)
    return frame if area is None else frame[meeting(frame, shapely.box(*area))]


def around(tile: Tile) -> Box:
    """The tile with its buffer, inside the world: west, south, east, north in EPSG:3857."""
    west, south, east, north = tile.bounds_3857
    buffer = (east - west) * BUFFER
    return max(west - buffer, -EDGE), max(south - buffer, -EDGE), min(east + buffer, EDGE), min(north + buffer, EDGE)


def in_crs(box: Box, crs: CRS) -> Box | None:
    """A box in another CRS that holds the given one of EPSG:3857; None where only the whole file does."""
    if not (crs.is_geographic or crs == CRS("EPSG:3857")) and box[2] - box[0] > EDGE / 8:
        return None  # far outside the area that a projection is made for its coordinates mean nothing
    west, south, east, north = to_crs(crs).transform_bounds(*box)
    if west > east:  # a change of datum has pushed an edge over the 180th meridian
        west, east = -180.0, 180.0
    return (west, south, east, north) if np.isfinite([west, south, east, north]).all() else None


@lru_cache(maxsize=8)
def to_crs(crs: CRS) -> Transformer:
    """From EPSG:3857; takes PROJ 40 ms to make."""
    return Transformer.from_crs("EPSG:3857", crs, always_xy=True)


def meeting(frame: gpd.GeoDataFrame, area: shapely.Polygon) -> NDArray[np.bool_]:
    """Whether each feature meets the area, (features,)."""
    shapely.prepare(area)
    found: NDArray[np.bool_] = shapely.intersects(area, frame.geometry.to_numpy())
    return found


def read(path: str, area: Box | None) -> gpd.GeoDataFrame:
    """The features whose bounding boxes meet the area, or all."""
    if not path.endswith("parquet"):
        return gpd.read_file(path, bbox=area)
    file = Path(path)
    size, changed = (file.stat().st_size, file.stat().st_mtime) if file.is_file() else (SMALL + 1, 0.0)
    if area is not None and size > SMALL and has_boxes(path):
        return gpd.read_parquet(path, bbox=area)
    frame = whole(path, changed)
    return frame if area is None else frame.iloc[np.sort(frame.sindex.query(shapely.box(*area)))]


@lru_cache(maxsize=8)
def has_boxes(path: str) -> bool:
    """Whether a GeoParquet file has a bounding-box column to filter by (`covering`, since its version 1.1)."""
    meta = json.loads(pq.read_schema(path).metadata[b"geo"])
    return "bbox" in meta["columns"][meta["primary_column"]].get("covering", {})


@lru_cache(maxsize=2)
def whole(path: str, changed: float) -> gpd.GeoDataFrame:
    """All of a GeoParquet file, kept until it changes."""
    return gpd.read_parquet(path)


@lru_cache(maxsize=8)
def crs_of(path: str) -> CRS:
    """The file's CRS; longitude and latitude where it names none, as GeoParquet has it."""
    if not path.endswith("parquet"):
        return CRS(gpd.read_file(path, rows=0).crs or "OGC:CRS84")
    meta = json.loads(pq.read_schema(path).metadata[b"geo"])
    return CRS(meta["columns"][meta["primary_column"]].get("crs") or "OGC:CRS84")


@lru_cache(maxsize=1)
def demo() -> str:
    """A small GeoPackage in memory: islands along a spiral around the globe, EPSG:4326."""
    path, count = "/vsimem/tileserver-example.gpkg", 400
    turn = np.arange(count)
    latitude = np.degrees(np.arcsin(np.linspace(-0.9, 0.9, count)))
    longitude = turn * 0.618034 % 1 * 340 - 170  # the golden ratio spreads them evenly
    size = 4 + 2 * np.sin(turn)
    islands = [
        scale(circle, 1, np.cos(np.radians(north)))
        for circle, north in zip(shapely.buffer(shapely.points(longitude, latitude), size), latitude, strict=True)
    ]
    frame = gpd.GeoDataFrame({"number": turn, "size": size.round(2)}, geometry=islands, crs="EPSG:4326")
    frame.to_file(path, layer="islands", driver="GPKG")
    return path
