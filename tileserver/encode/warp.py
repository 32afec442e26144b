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
_EDGE_POINTS = 21
"""Places on each side of a tile that are looked at to find its bounds elsewhere."""
_SMALL = 5
"""From this zoom on tiles are small enough for their edges to lie around them in any projection."""
_AROUND = 4
"""Pixels around a window that resampling may look at, of the coarser grid."""


def is_tile(bounds: Bounds, crs: Any, tile: Tile) -> bool:
    """Whether bounds in `crs` are the tile itself."""
    from rasterio.crs import CRS

    own = tile.bounds_3857
    near = np.allclose(bounds, own, rtol=0, atol=(own.east - own.west) / tile.size * _TOLERANCE)
    return bool(near) and CRS.from_user_input(crs) == CRS.from_epsg(3857)


def window(height: int, width: int, bounds: Bounds, crs: Any, tile: Tile) -> tuple[slice, slice, Bounds]:
    """Rows and columns that lie on the tile, with some pixels around it, and their bounds; all where nobody can say.

    Args:
        height: Pixels of a raster.
        width: The same.
        bounds: Where it lies, in units of `crs`.
        crs: What rasterio understands as a coordinate reference system.
        tile: What is looked for.
    """
    own = _in_crs(tile, bounds, crs)
    if own is None:
        return slice(0, height), slice(0, width), bounds
    step_x, step_y = (bounds.east - bounds.west) / width, (bounds.north - bounds.south) / height
    left, right = _span(own.west - bounds.west, own.east - bounds.west, step_x, width, tile.size)
    top, bottom = _span(bounds.north - own.north, bounds.north - own.south, step_y, height, tile.size)
    part = Bounds(
        bounds.west + left * step_x, bounds.north - bottom * step_y, bounds.west + right * step_x,
        bounds.north - top * step_y,
    )  # fmt: skip
    return slice(top, bottom), slice(left, right), part


def density(height: int, width: int, bounds: Bounds, crs: Any, tile: Tile) -> float:
    """How many of a raster's pixels lie beside each other on one of the tile's, the fewer of both ways.

    1 where nobody can say. Takes what `window` does.
    """
    own = _in_crs(tile, bounds, crs)
    if own is None:
        return 1.0
    columns = (own.east - own.west) / (bounds.east - bounds.west) * width
    rows = (own.north - own.south) / (bounds.north - bounds.south) * height
    return min(columns, rows) / tile.size


def _in_crs(tile: Tile, bounds: Bounds, crs: Any) -> Bounds | None:
    """The tile's bounds in `crs`; None where they, or `bounds`, do not say what lies between."""
    from rasterio.warp import transform_bounds

    if tile.z < _SMALL:  # its edges say little of where it lies elsewhere
        return None
    own = Bounds(*transform_bounds("EPSG:3857", crs, *tile.bounds_3857, densify_pts=_EDGE_POINTS))
    return own if np.isfinite(own).all() and _is_plain(bounds) and not _turns(crs, bounds) else None


def _is_plain(bounds: Bounds) -> bool:
    """Whether columns go to the east and rows to the south."""
    return bounds.west < bounds.east and bounds.south < bounds.north


def _span(start: float, stop: float, step: float, limit: int, size: int) -> tuple[int, int]:
    """First and last of an axis' pixels, the last not counted in; one at least."""
    around = _AROUND * (1 + (stop - start) / step / size)
    first = int(np.clip(np.floor(start / step - around), 0, limit - 1))
    return first, int(np.clip(np.ceil(stop / step + around), first + 1, limit))


def _turns(crs: Any, bounds: Bounds) -> bool:
    """Whether the bounds reach over the 180th meridian, where a place has two longitudes."""
    from rasterio.crs import CRS

    return bool(CRS.from_user_input(crs).is_geographic) and not (bounds.west >= -180 and bounds.east <= 180)


def fit(bands: Masked, bounds: Bounds, crs: Any, tile: Tile, output: Output) -> Masked:
    """Bands of `output.size` squared on the tile's grid in EPSG:3857; takes and raises what `onto` does."""
    return onto(bands, bounds, crs, tile.bounds_3857, "EPSG:3857", output)


def onto(bands: Masked, bounds: Bounds, crs: Any, to_bounds: Bounds, to_crs: Any, output: Output) -> Masked:
    """Bands of `output.size` squared on another grid, of the same data type; masked outside `bounds`.

    Args:
        bands: (bands, height, width).
        bounds: Where they lie, in units of `crs`.
        crs: What rasterio understands as a coordinate reference system.
        to_bounds: Where to, in units of `to_crs`.
        to_crs: The same as `crs`.
        output: Its `size` and `resampling` count.

    Raises:
        InvalidParameterError: `resampling` is not nearest, bilinear, cubic, average, mode or another that GDAL has.
    """
    from rasterio.enums import Resampling
    from rasterio.transform import from_bounds
    from rasterio.warp import SUPPORTED_RESAMPLING, reproject

    if output.resampling not in {each.name for each in SUPPORTED_RESAMPLING}:
        raise InvalidParameterError(f"resampling={output.resampling} is not known", parameter="resampling")
    source = with_nan(bands)
    target = np.full((len(source), output.size, output.size), np.nan, source.dtype)
    for each in _together(source):
        reproject(
            source[each],
            target[each],
            src_transform=from_bounds(*bounds, source.shape[2], source.shape[1]),
            src_crs=crs,
            src_nodata=np.nan,
            dst_transform=from_bounds(*to_bounds, output.size, output.size),
            dst_crs=to_crs,
            dst_nodata=np.nan,
            resampling=Resampling[output.resampling],
        )
    return rounded(bands.dtype, target)


def _together(bands: NDArray[Any]) -> list[slice]:
    """Bands that have a value at the same places: of several GDAL adds up NaN, too, where any has a value."""
    missing = np.isnan(bands)
    alike = bool((missing == missing[:1]).all())
    return [slice(None)] if alike else [slice(at, at + 1) for at in range(len(bands))]


def with_nan(bands: Masked) -> NDArray[Any]:
    """Floats in which NaN stands for no value, so that it does not bleed into its neighbours."""
    return np.ma.filled(bands.astype(floats(bands.dtype)), np.nan)


def floats(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """The narrower that hold each value of a type as it is; of 64 bits about."""
    return np.float32 if dtype.itemsize <= 2 or dtype == np.float32 else np.float64


def rounded(dtype: np.dtype[Any], values: NDArray[Any]) -> Masked:
    """Floats as a type, cut off at its limits; masked where NaN stands for no value."""
    missing = np.isnan(values)
    whole = values if dtype.kind == "f" else np.where(missing, 0, values)
    return np.ma.MaskedArray(as_type(dtype, whole), missing)


def as_type(dtype: np.dtype[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Floats, which may be written to, cut off at its limits; NaN only where it has that."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if float(high) > high:  # of 64 bits: the nearest float is one too large
        high = np.nextafter(float(high), 0)
    whole: NDArray[Any] = np.clip(np.rint(values, out=values), low, high, out=values).astype(dtype)
    return whole
