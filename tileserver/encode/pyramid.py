"""Smaller arrays of a raster on a tile, which is shown whole, in quarters, in sixteenths: what these show of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.smooth import LEAST_WEIGHT
from tileserver.encode.warp import rounded, with_nan

Masked = np.ma.MaskedArray[Any, Any]


def levels(bands: Masked, method: str, least: int) -> list[Masked]:
    """The bands, then squares of their type with fewer pixels, the largest first: of 4, 2 times `least` and so many.

    A pixel is masked where none of those that count for it has a value. With "nearest" it is one of the bands' own;
    else it is made of the array before, as overviews of files are.

    Args:
        bands: (bands, height, width), masked where they have no value, NaN among it.
        method: nearest, bilinear, cubic, average or mode.
        least: The smallest side.
    """
    made = [bands]
    for zooms in reversed(range(((min(bands.shape[1:]) - 1) // least).bit_length())):
        side = least << zooms
        made.append(_nearest(bands, side) if method == "nearest" else _smaller(made[-1], side, method))
    return made


def _nearest(bands: Masked, side: int) -> Masked:
    """The pixels in which the middles of others lie; not copied where these are every so many."""
    rows, columns = (_places(length, side) for length in bands.shape[1:])
    return np.ma.MaskedArray(bands[:, rows][:, :, columns])


def _places(length: int, side: int) -> slice | NDArray[np.intp]:
    step, rest = divmod(length, side)
    return ((np.arange(side) + 0.5) * length / side).astype(np.intp) if rest else slice(step // 2, None, step)


def _smaller(bands: Masked, side: int, method: str) -> Masked:
    """Band by band, so that no more than one is in memory once more."""
    return np.ma.MaskedArray(np.ma.stack([_band(band, side, method) for band in bands]))


def _band(band: Masked, side: int, method: str) -> Masked:
    missing = np.ma.getmaskarray(band)
    if not missing.any():
        return np.ma.MaskedArray(_read(_plain(np.ma.getdata(band)), side, method).astype(band.dtype, copy=False))
    fill = _weighted if method in ("bilinear", "cubic") else _counted
    return rounded(band.dtype, fill(with_nan(band), missing, side, method))


def _weighted(values: NDArray[Any], missing: NDArray[np.bool_], side: int, method: str) -> NDArray[Any]:
    """Sums of what is there by how much it weighs: GDAL's own do without holes in each row, then in each column."""
    values[missing] = 0
    sums, weights = (_read(each, side, method) for each in (values, (~missing).astype(values.dtype)))
    weights[weights < LEAST_WEIGHT] = np.nan
    sums /= weights
    return sums


def _counted(values: NDArray[Any], missing: NDArray[np.bool_], side: int, method: str) -> NDArray[Any]:
    """Of those that are there; for none a number, as GDAL counts NaN: the one that files mostly have for it."""
    none = np.finfo(values.dtype).min
    values[missing] = none
    made = _read(values, side, method, none)
    made[made == none] = np.nan
    return made


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Of a type that GDAL has."""
    odd = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32}
    return values.astype(odd.get(values.dtype, values.dtype.newbyteorder("=")), copy=False)


def _read(values: NDArray[Any], side: int, method: str, nodata: Any = None) -> NDArray[Any]:
    """By the way of GDAL's that makes overviews: ten to fifty times as fast as to warp them."""
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine

    height, width = values.shape
    shape = {"height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": nodata}
    # that it lies somewhere is said for no other reason than that rasterio warns without
    with MemoryFile() as file, file.open(driver="MEM", transform=Affine.scale(2), **shape) as dataset:
        dataset.write(values, 1)
        made: NDArray[Any] = dataset.read(1, out_shape=(side, side), resampling=Resampling[method])
    return made
