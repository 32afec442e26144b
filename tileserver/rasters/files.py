"""Files that stay open: the last few, with what every tile of theirs needs to know."""

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
from rasterio.enums import MaskFlags
from rasterio.warp import calculate_default_transform, transform_bounds
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.utils import non_alpha_indexes

from tileserver.tiles import MAX_LATITUDE, Tile

Masked = np.ma.MaskedArray[Any, Any]

_MOST: Final = 16
"""Files that are open at once."""
_SECONDS: Final = 300.0
"""For which a file that is not local is taken to be as it was."""
_MASKS: Final = (
    [MaskFlags.all_valid],
    [MaskFlags.nodata],
    [MaskFlags.per_dataset],
    [MaskFlags.per_dataset, MaskFlags.alpha],
)
"""What says where there is no data: nothing, a value, a mask, or opacity."""


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
        self._levels = {0: Level(self.dataset, 1.0, 1.0)}

    @cached_property
    def bands(self) -> tuple[int, ...]:
        """All but an alpha band."""
        return tuple(non_alpha_indexes(self.dataset))

    @cached_property
    def plain(self) -> bool:
        """Whether each pixel lies by transform and CRS alone, and all bands are alike."""
        data = self.dataset
        if data.crs is None or data.crs.to_epsg() == 3857 or data.transform.is_identity:
            return False
        if data.crs.is_geographic and not -180 <= data.bounds.left <= data.bounds.right <= 180:
            return False  # it goes on behind the 180th meridian
        of = [band - 1 for band in self.bands]
        alike = {(data.dtypes[at], str(data.nodatavals[at]), tuple(data.mask_flag_enums[at])) for at in of}
        deep = MaskFlags.alpha in data.mask_flag_enums[0] and data.dtypes[0] != "uint8"
        return len(alike) == 1 and data.mask_flag_enums[0] in _MASKS and not deep

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
        if number not in self._levels:
            data = rasterio.open(self._path, overview_level=number - 1)
            self._levels[number] = Level(data, self.dataset.width / data.width, self.dataset.height / data.height)
        return self._levels[number]

    def best_level(self, columns: int, size: int) -> Level:
        """What GDAL reads where a grid of so many columns, as fine as the file, becomes `size` pixels.

        That is the coarsest that has no more than 1.2 pixels of the grid to one of the picture
        (GDALBandGetBestOverviewLevel2).
        """
        found = 0
        for number, factor in enumerate(self._overviews, 1):
            if columns / round(columns / factor) < 1.2 * columns / size:
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
            empty = np.zeros((len(bands), tile.size, tile.size), self.dataset.dtypes[0])
            return np.ma.MaskedArray(empty, np.ones(empty.shape, bool))


class _Kept(NamedTuple):
    file: RasterFile
    state: object
    """Of a local file when it was written, and its size; of others when it was opened."""


_kept: OrderedDict[str, _Kept] = OrderedDict()
_lock = threading.Lock()


def opened(path: str | PathLike[str]) -> RasterFile:
    """The open file; raises like `RasterFile`. What is no longer kept is closed once nobody reads it any more."""
    name = os.fspath(path)
    with _lock:
        kept = _kept.pop(name, None)
        state = _state(name, kept.state if kept else None)
        if kept is None or kept.state != state:
            kept = _Kept(RasterFile(name), state)
        _kept[name] = kept
        if len(_kept) > _MOST:
            _kept.popitem(last=False)
    return kept.file


def _state(name: str, last: object) -> object:
    with suppress(OSError, ValueError):
        found = Path(name).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    now = time.monotonic()
    return last if isinstance(last, float) and now - last < _SECONDS else now
