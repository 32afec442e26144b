"""Tiles of a raster file: any that GDAL opens, on disk or at an address such as s3:// or https://.

The path is not a parameter, because whoever holds a token could then read every file that the server can. Write it
below, or set RASTER_PATH for the server together with TILESERVER_WORKER_ENV, which names the variables that reach the
functions. With neither there is a small raster to look at.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp
from rio_tiler.colormap import cmap
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from tileserver import Tile, udf

PATH = ""  # put the path of your raster here


@udf(kind="raster", minzoom=0, maxzoom=22, cache_max_age="10m", resampling="nearest")
def raster_file(
    tile: Tile,
    bands: list[int] | None = None,
    rescale: tuple[float, float] | None = None,
    colormap: str | None = None,
    resampling: Literal["nearest", "bilinear", "cubic", "average", "mode", "lanczos"] = "nearest",
) -> ImageData | None:
    """The raster's part of the tile, transparent where it has no data; nothing outside its bounds.

    bands: which to show, counted from 1; left out, the first three of a colour image, else the first.
    rescale: the values that become black and white, as `0,3000`; 8-bit data need none.
    colormap: a name that matplotlib knows, as `viridis`; left out, the file's own colour table.
    resampling: how pixels are combined or made up.
    """
    path = PATH or os.environ.get("RASTER_PATH", "")
    reader = opened(path, modified(path))
    indexes = known(reader, bands) if bands else shown(reader)
    try:
        image = reader.tile(tile.x, tile.y, tile.z, tile.size, indexes=indexes, resampling_method=resampling)
    except TileOutsideBounds:
        return None
    if rescale:
        image.rescale([rescale])
    table = cmap.get(colormap) if colormap else reader.colormap
    return image.apply_colormap(table) if table and image.count == 1 else image


@lru_cache(maxsize=8)
def opened(path: str, changed: float) -> Reader:
    """The file, kept open from tile to tile until it changes."""
    return Reader(path or demo())


def modified(path: str) -> float:
    """When a local file was changed, seconds; 0 for any other."""
    return Path(path).stat().st_mtime if Path(path).is_file() else 0.0


def known(reader: Reader, bands: list[int]) -> tuple[int, ...]:
    """The bands that were asked for.

    Raises:
        ValueError: the file does not have one of them.
    """
    missing = set(bands) - set(reader.dataset.indexes)
    if missing:
        raise ValueError(f"there is no band {min(missing)}: the file has 1 to {reader.dataset.count}")
    return tuple(bands)


def shown(reader: Reader) -> tuple[int, ...]:
    """Numbers of the bands to show if nobody says which; alpha goes by itself."""
    colours = [
        index
        for index, colour in zip(reader.dataset.indexes, reader.dataset.colorinterp, strict=True)
        if colour != ColorInterp.alpha
    ]
    return tuple(colours[:3] if len(colours) >= 3 else colours[:1])


def demo() -> str:
    """A small raster in memory, rings with a hole, EPSG:4326."""
    path, size = "/vsimem/tileserver-example.tif", 480
    y, x = np.mgrid[1 : -1 : size * 1j, -2 : 2 : 2 * size * 1j]
    distance = np.hypot(x, y)
    rings = np.stack([127 + 120 * np.cos(distance * turns) for turns in (9, 13, 17)]).astype(np.uint8)
    grid = Affine(320 / (2 * size), 0, -160, 0, -160 / size, 80)
    profile = {"width": 2 * size, "height": size, "count": 3, "dtype": "uint8", "crs": "EPSG:4326", "transform": grid}
    with rasterio.open(path, "w", "GTiff", **profile) as out:
        out.write(rings)
        out.write_mask(distance > 0.15)
    return path
