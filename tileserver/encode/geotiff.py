"""Rasters as GeoTIFF: values as they were returned, their place, and what the hosted API's SDK makes of them."""

import json
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import is_a, is_georeferenced
from tileserver.encode.raster import Masked, Raster, read
from tileserver.errors import BadResultError
from tileserver.tiles import Tile

_STORED: Final = {"bool": "uint8", "float16": "float32", "longdouble": "float64", "float128": "float64"}
"""Types that a GeoTIFF has not."""
_OPTIONS: Final = {"driver": "GTiff", "compress": "deflate", "alpha": "unspecified", "bigtiff": "if_safer"}
"""A fourth band is a band: taken for alpha, it would mask the others."""
_EXACT: Final = 2**53
"""GDAL writes the value of no data as a float."""


def draw(result: Any, tile: Tile | None) -> Drawn:
    """A raster result as GeoTIFF: every band and value, neither scaled nor warped.

    What has no place of its own has the tile's. NaN, or a value that is not used, marks where there is none. The tags
    of the namespace `fused` tell the hosted API's SDK what to make of it (section 2.6): `orig_type`, with `shape` and,
    of an (array, bounds) pair, `bounds`, as JSON; `key`, the name of a Dataset's only variable.

    Raises:
        BadResultError: no raster; or the masks of its bands differ, and every value of its type is used.
    """
    raster = read(result)
    name = raster.bands.dtype.name
    bands = np.ma.MaskedArray(raster.bands, dtype=_STORED.get(name, name))
    place = _place(raster, bands.shape, tile)
    return Drawn.of("tiff", _written(bands, place, _origin(result), _names(result)))


def _written(bands: Masked, place: dict[str, Any], tags: dict[str, str], names: list[str]) -> bytes:
    from rasterio.env import Env
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    count, height, width = bands.shape
    profile = {"dtype": bands.dtype, "count": count, "height": height, "width": width, "nodata": _nodata(bands)}
    with Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile, **place, **_OPTIONS) as file:
            _write(file, bands)
            file.update_tags(ns="fused", **tags)
            for band, name in enumerate(names, 1):
                file.set_band_description(band, name)
        return bytes(memory.getbuffer())


def _write(file: Any, bands: Masked) -> None:
    if file.nodata is not None:
        file.write(bands.filled(file.nodata))
        return
    file.write(np.ma.getdata(bands))
    if np.ma.is_masked(bands):
        file.write_mask(~_mask(bands))


def _place(raster: Raster, shape: tuple[int, ...], tile: Tile | None) -> dict[str, Any]:
    """Transform and CRS as rasterio takes them; nothing for what lies nowhere."""
    from rasterio.transform import from_bounds

    bounds, crs = raster.bounds, raster.crs
    if bounds is None and tile is not None:
        bounds, crs = tile.bounds_3857, "EPSG:3857"
    return {} if bounds is None else {"transform": from_bounds(*bounds, shape[2], shape[1]), "crs": crs}


def _nodata(bands: Masked) -> Any:
    """NaN for floats, else a value that no valid pixel has; None where nothing is masked or all values are used."""
    if not np.ma.is_masked(bands):
        return None
    if bands.dtype.kind == "f":
        return np.nan
    valid, limits = bands.compressed(), np.iinfo(bands.dtype)
    low, high = max(limits.min, -_EXACT), min(limits.max, _EXACT)
    if not valid.size or valid.min() > low:
        return low
    return high if valid.max() < high else _gap(np.unique(valid))


def _gap(used: NDArray[Any]) -> int | None:
    """The first value between others that is not among them."""
    gaps = used[:-1][used[1:] != used[:-1] + 1] + 1
    return next((int(value) for value in gaps if abs(int(value)) <= _EXACT), None)


def _mask(bands: Masked) -> Any:
    mask = np.ma.getmaskarray(bands)
    if (mask != mask[0]).any():
        raise BadResultError(f"the function's bands have masks that differ, and no value of {bands.dtype} is unused")
    return mask[0]


def _origin(result: Any) -> dict[str, str]:
    """What the SDK makes of the file: an array, an array with bounds, a DataArray, or a Dataset."""
    if is_georeferenced(result):
        bounds = [float(edge) for edge in result[1]]
        return _origin(result[0]) | {"bounds": json.dumps(bounds)}
    if isinstance(result, np.ndarray):
        return {"orig_type": "numpy.ndarray", "shape": json.dumps(result.shape)}
    if is_a(result, "xarray", "Dataset"):
        return {"key": str(next(iter(result)))} if len(result) == 1 else {}
    return {"orig_type": "xarray.DataArray"}


def _names(result: Any) -> list[str]:
    """Of the bands that are a Dataset's variables."""
    return [str(name) for name in result] if is_a(result, "xarray", "Dataset") and len(result) > 1 else []
