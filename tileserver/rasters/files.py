"""Files that stay open: the last few, with what every tile of theirs needs to know."""

import math
import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.warp import calculate_default_transform, transform_bounds
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.utils import non_alpha_indexes

from tileserver.tiles import MAX_LATITUDE, Tile

Masked = np.ma.MaskedArray[Any, Any]

_MOST: Final = 32
"""Files and overviews that are open at once; a worker may gain 64 descriptors from job to job."""
_SECONDS: Final = 300.0
"""For which what belongs to a file, as the sources of a VRT, is taken to be as it was."""
_MERCATOR: Final = CRS.from_epsg(3857)
_MASKS: Final = ([MaskFlags.all_valid], [MaskFlags.nodata], [MaskFlags.per_dataset])
"""What says where there is no data: nothing, a value, or a mask."""
_OPACITY: Final = [MaskFlags.per_dataset, MaskFlags.alpha]


class Level(NamedTuple):
    """A file, or one of its overviews, as a dataset of its own."""

    dataset: Any
    across: float
    """Pixels of the file to one of the overview's."""
    down: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dataset.height, self.dataset.width


class RasterFile:
    """A file; used by one thread at a time, as GDAL wants it."""

    def __init__(self, path: str) -> None:
        """Raises:
        rasterio.errors.RasterioIOError: it cannot be opened.
        """
        self.lock = threading.Lock()
        self._path = path
        self.dataset = rasterio.open(path)
        self.levels = {0: Level(self.dataset, 1.0, 1.0)}

    @cached_property
    def bands(self) -> tuple[int, ...]:
        """All but an alpha band."""
        return tuple(non_alpha_indexes(self.dataset))

    @cached_property
    def plain(self) -> bool:
        """Whether each pixel lies by transform and CRS alone, and one thing says of all bands where they have data."""
        return bool(self.bands) and self._is_placed() and self._is_alike()

    def _is_placed(self) -> bool:
        data = self.dataset
        if data.crs is None or data.crs == _MERCATOR or data.transform.is_identity:  # Mercator itself needs no warp
            return False
        if data.crs.is_geographic:  # wholly beyond the square, or behind the 180th meridian
            _, south, _, north = self._bounds
            return south != north and bool(-180 <= data.bounds.left <= data.bounds.right <= 180)
        return True

    def _is_alike(self) -> bool:
        data = self.dataset
        if len({(data.dtypes[band - 1], str(data.nodatavals[band - 1])) for band in self.bands}) > 1:
            return False
        flags = [data.mask_flag_enums[band - 1] for band in self.bands]
        if any(own != flags[0] for own in flags) or data.dtypes[0].startswith("complex_int"):
            return False
        if ColorInterp.alpha in data.colorinterp:
            return bool(flags[0] == _OPACITY and data.dtypes[0] == "uint8" and data.count == len(flags) + 1)
        return flags[0] in _MASKS and _is_nodata(data.dtypes[0], data.nodata, masked=MaskFlags.nodata not in flags[0])

    @cached_property
    def to_file(self) -> Transformer:
        """From EPSG:3857 to the file's CRS."""
        return Transformer.from_crs(3857, self.dataset.crs.to_wkt(), always_xy=True)

    @cached_property
    def resolution(self) -> float:
        """Metres of EPSG:3857 across a pixel, on average."""
        data, (west, south, east, north) = self.dataset, self._bounds
        height = max(1, round(data.height * (north - south) / (data.bounds.top - data.bounds.bottom)))
        return float(calculate_default_transform(data.crs, 3857, data.width, height, west, south, east, north)[0].a)

    @cached_property
    def _bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in the file's CRS; of degrees without the poles, which are infinitely far."""
        west, south, east, north = self.dataset.bounds
        if self.dataset.crs.is_geographic:
            south, north = (min(max(each, -MAX_LATITUDE), MAX_LATITUDE) for each in (south, north))
        return west, south, east, north

    @cached_property
    def rows(self) -> tuple[float, float]:
        """South and north in metres of EPSG:3857: beyond it there is nothing of the file."""
        west, one, east, other = self._bounds
        _, south, _, north = transform_bounds(self.dataset.crs, 3857, west, min(one, other), east, max(one, other))
        return (south, north) if south < north < np.inf else (-np.inf, np.inf)

    @cached_property
    def _overviews(self) -> list[int]:
        """How many pixels one of each overview stands for."""
        return list(self.dataset.overviews(1))

    def level(self, number: int) -> Level:
        """The file itself (0) or its overviews, the finest first."""
        if number not in self.levels:
            data = rasterio.open(self._path, overview_level=number - 1)
            self.levels[number] = Level(data, self.dataset.width / data.width, self.dataset.height / data.height)
        return self.levels[number]

    def best_level(self, columns: int, size: int) -> Level:
        """What GDAL reads where a grid of so many columns, as fine as the file, becomes `size` pixels.

        That is the coarsest with hardly more than 1.2 pixels of the picture to one of its own
        (GDALBandGetBestOverviewLevel2; the tenth was found by trying).
        """
        found = 0
        for number, factor in enumerate(self._overviews, 1):
            if columns / max(1, int(columns / factor + 0.5)) < 1.2 * columns / size + 0.1:
                found = number
        return self.level(found)

    def warped(self, tile: Tile, bands: tuple[int, ...], resampling: str) -> Masked:
        """The same by rio-tiler and GDAL, which know every case."""
        try:
            with Reader(None, dataset=self.dataset) as reader:
                found: Masked = reader.tile(
                    tile.x,
                    tile.y,
                    tile.z,
                    tilesize=tile.size,
                    indexes=bands,
                    resampling_method=resampling,
                    reproject_method=resampling,
                ).array
                return found
        except TileOutsideBounds:
            return nothing((len(bands), tile.size, tile.size), self.dataset.dtypes[0])


def nothing(shape: tuple[int, ...], dtype: str) -> Masked:
    """Pixels that are all masked."""
    return np.ma.MaskedArray(np.zeros(shape, dtype), np.ones(shape, bool))


def _is_nodata(dtype: str, value: float | None, *, masked: bool) -> bool:
    """Whether a value can stand for no data: not beside a mask, and not between whole numbers."""
    if value is None:
        return True
    return not masked and (dtype.startswith(("f", "c")) or not math.isfinite(value) or float(value).is_integer())


class _Kept(NamedTuple):
    file: RasterFile
    state: object
    """Of a local file when it was written, and its size."""
    since: float


_kept: OrderedDict[str, _Kept] = OrderedDict()
_lock = threading.Lock()


def opened(path: str | PathLike[str]) -> RasterFile:
    """The open file; raises like `RasterFile`. What is no longer kept is closed once nobody reads it any more."""
    name = os.fspath(path)
    state, now = _state(name), time.monotonic()
    with _lock:
        kept = _kept.pop(name, None)
        if kept is not None and kept.state == state and now - kept.since < _SECONDS:
            _kept[name] = kept
            return kept.file
    file = RasterFile(name)  # others do not wait for it
    with _lock:
        _kept[name] = _Kept(file, state, now)
        while len(_kept) > 1 and sum(len(each.file.levels) for each in _kept.values()) > _MOST:
            _kept.popitem(last=False)
    return file


def _state(name: str) -> object:
    with suppress(OSError, ValueError):
        found = Path(name).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _forget() -> None:
    """In a child that a function forked: it shares the place where open files are read, and locks that others hold."""
    global _lock
    _lock = threading.Lock()
    _kept.clear()


os.register_at_fork(after_in_child=_forget)
