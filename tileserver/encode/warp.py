"""Rasters from elsewhere onto a tile's pixels, warped by GDAL."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileserver.errors import InvalidParameterError
from tileserver.jobs import Output
from tileserver.tiles import Bounds, Tile

Masked = np.ma.MaskedArray[Any, Any]

_TOLERANCE = 1e-3
"""Pixels by which bounds may miss the tile's and still mean the tile."""


def is_tile(bounds: Bounds, crs: Any, tile: Tile) -> bool:
    """Whether bounds in `crs` are the tile itself."""
    from rasterio.crs import CRS

    own = tile.bounds_3857
    near = np.allclose(bounds, own, rtol=0, atol=(own.east - own.west) / tile.size * _TOLERANCE)
    return bool(near) and CRS.from_user_input(crs) == CRS.from_epsg(3857)


def fit(bands: Masked, bounds: Bounds, crs: Any, tile: Tile, output: Output) -> Masked:
    """Bands of `output.size` squared on the tile's grid in EPSG:3857, of the same data type; masked outside `bounds`.

    Args:
        bands: (bands, height, width).
        bounds: Where they lie, in units of `crs`.
        crs: What rasterio understands as a coordinate reference system.
        tile: Where to.
        output: Its `size` and `resampling` count.

    Raises:
        InvalidParameterError: `resampling` is not nearest, bilinear, cubic, average, mode or another that GDAL has.
    """
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.warp import SUPPORTED_RESAMPLING, reproject

    if output.resampling not in {each.name for each in SUPPORTED_RESAMPLING}:
        raise InvalidParameterError(f"resampling={output.resampling} is not known", parameter="resampling")
    source = _with_nan(bands)
    target = np.full((len(source), output.size, output.size), np.nan, source.dtype)
    reproject(
        source,
        target,
        src_transform=from_bounds(*bounds, source.shape[2], source.shape[1]),
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=from_bounds(*tile.bounds_3857, output.size, output.size),
        dst_crs="EPSG:3857",
        dst_nodata=np.nan,
        resampling=Resampling[output.resampling],
    )
    return _as(bands.dtype, target)


def _with_nan(bands: Masked) -> NDArray[Any]:
    """Floats in which NaN stands for no value, so that it does not bleed into its neighbours."""
    narrow = bands.dtype.itemsize <= 2 or bands.dtype == np.float32
    return np.ma.filled(bands.astype(np.float32 if narrow else np.float64), np.nan)


def _as(dtype: np.dtype[Any], values: NDArray[Any]) -> Masked:
    missing = np.isnan(values)
    if dtype.kind == "f":
        return np.ma.MaskedArray(values, missing)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if float(high) > high:  # of 64 bits: the nearest float is one too large
        high = np.nextafter(float(high), 0)
    whole = np.clip(np.rint(np.where(missing, 0, values)), low, high)
    return np.ma.MaskedArray(whole.astype(dtype), missing)
