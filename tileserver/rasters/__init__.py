"""Raster files on tiles. What is the same for all tiles of a file is done once: it stays open from call to call."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from tileserver.rasters import nearest
from tileserver.rasters.files import opened
from tileserver.tiles import Tile

Masked = np.ma.MaskedArray[Any, Any]


def read_raster(
    path: str | PathLike[str], tile: Tile, bands: Sequence[int] | None = None, *, resampling: str = "nearest"
) -> Masked:
    """A raster file's values on a tile: (bands, tile.size, tile.size), of the file's data type.

    Masked is what lies outside of the file and where it has no data, or is not opaque. These are the values that
    rio-tiler's `Reader.tile` gives of all bands, several times faster (benchmarks/titiler.py): the file stays open in
    the worker, among the last 16, and nearest neighbours need no warped dataset for each tile. For coarser zooms the
    file's overviews are read. A local file that was written anew is opened anew, others after five minutes.

    Args:
        path: What GDAL opens: a local file, a URL, `/vsi...`.
        tile: Where.
        bands: Their numbers, from 1; all but an alpha band where nothing is said.
        resampling: nearest, bilinear, cubic, average, mode or another of GDAL's.

    Raises:
        rasterio.errors.RasterioIOError: the file cannot be opened or read.
        IndexError: it has no such band.
        KeyError: there is no such resampling.
    """
    file = opened(path)
    chosen = tuple(bands) if bands is not None else file.bands
    with file.lock:
        if resampling == "nearest" and file.plain:
            found = nearest.read(file, tile, chosen)
            if found is not None:
                return found
        return file.warped(tile, chosen, resampling)
