"""Raster files on tiles. What is the same for all tiles of a file is done once: it stays open from call to call."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from rasterio.enums import Resampling

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
    the worker, and nearest neighbours need no warped dataset for each tile. For coarser zooms the file's overviews are
    read. A local file that was written anew is opened anew; what else belongs to it, as the sources of a VRT, after
    five minutes. Of a file elsewhere GDAL keeps what it has read.

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
    way, file = Resampling[resampling], opened(path)
    with file.lock:
        chosen = tuple(bands) if bands is not None else file.bands
        if not chosen or not set(chosen) <= set(file.dataset.indexes):
            raise IndexError(f"bands {list(chosen)} of a file that has 1 to {file.dataset.count}")
        found = None
        if way == Resampling.nearest and file.plain and set(chosen) <= set(file.bands):
            found = nearest.read(file, tile, chosen)
        return file.warped(tile, chosen, resampling) if found is None else found
