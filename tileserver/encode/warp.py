"""Rasters onto a tile's pixels: stretched, or warped from elsewhere by GDAL."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileserver.errors import InvalidParameterError
from tileserver.tiles import Bounds, Tile

Masked = np.ma.MaskedArray[Any, Any]
Place = tuple[Bounds | None, Any]

_TOLERANCE = 1e-3
"""Pixels by which bounds may miss the tile's and still mean the tile."""


def is_tile(bounds: Bounds, crs: Any, tile: Tile) -> bool:
    """Whether bounds in `crs` are the tile itself."""
    from rasterio.crs import CRS

    own = tile.bounds_3857
    near = np.allclose(bounds, own, rtol=0, atol=(own.east - own.west) / tile.size * _TOLERANCE)
    return bool(near) and CRS.from_user_input(crs) == CRS.from_epsg(3857)


def fit(bands: Masked, tile: Tile, size: int, resampling: str, place: Place | None) -> Masked:
    """Bands of `size` squared on the tile's grid in EPSG:3857, of the same data type; masked outside their place.

    Args:
        bands: (bands, height, width).
        tile: Where to.
        size: Pixels of the side.
        resampling: nearest, bilinear, cubic, average or mode.
        place: Bounds and CRS of the bands; None stretches them over the tile.

    Raises:
        InvalidParameterError: `resampling` is none of these.
    """
    if place is None and bands.shape[1:] == (size, size):
        return bands
    if place is None and resampling == "nearest":
        return _nearest(bands, size)
    bounds, crs = place or (tile.bounds_3857, "EPSG:3857")
    return _as(bands.dtype, _warped(bands, bounds or tile.bounds_3857, crs, tile, size, resampling))


def _nearest(bands: Masked, size: int) -> Masked:
    """The value under each pixel's centre."""
    rows, columns = ((np.arange(size) * 2 + 1) * length // (2 * size) for length in bands.shape[1:])
    return bands[:, rows[:, np.newaxis], columns]


def _warped(bands: Masked, bounds: Bounds, crs: Any, tile: Tile, size: int, resampling: str) -> NDArray[Any]:
    """NaN stands for no value, so that it does not bleed into its neighbours."""
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.warp import SUPPORTED_RESAMPLING, reproject

    if resampling not in {each.name for each in SUPPORTED_RESAMPLING}:
        raise InvalidParameterError(f"resampling={resampling} is not known", parameter="resampling")
    narrow = bands.dtype.itemsize <= 2 or bands.dtype == np.float32
    source = np.ma.filled(bands.astype(np.float32 if narrow else np.float64), np.nan)
    target = np.full((len(source), size, size), np.nan, source.dtype)
    reproject(
        source,
        target,
        src_transform=from_bounds(*bounds, source.shape[2], source.shape[1]),
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=from_bounds(*tile.bounds_3857, size, size),
        dst_crs="EPSG:3857",
        dst_nodata=np.nan,
        resampling=Resampling[resampling],
    )
    return target


def _as(dtype: np.dtype[Any], values: NDArray[Any]) -> Masked:
    missing = np.isnan(values)
    if dtype.kind == "f":
        return np.ma.MaskedArray(values, missing)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if float(high) > high:  # of 64 bits: the nearest float is one too large
        high = np.nextafter(float(high), 0)
    whole = np.clip(np.rint(np.where(missing, 0, values)), low, high)
    return np.ma.MaskedArray(whole.astype(dtype), missing)
