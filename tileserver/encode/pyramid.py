"""Rasters of half the rows and columns, again and again: for tiles that show more of one than they have pixels."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tileserver.encode.warp import rounded, with_nan

Masked = np.ma.MaskedArray[Any, Any]

_TILE: Final = 256
"""Pixels of a side, at least: what has no more is not halved."""


def levels(bands: Masked, method: str) -> list[Masked]:
    """The bands and, as often as both sides are even, what each is at half its sides; of the same type.

    A pixel is masked where none of those that count for it has a value. With "nearest" it is one of the bands' own;
    else it is made of the array before, as overviews of files are.

    Args:
        bands: (bands, height, width), masked where they have no value, NaN among it.
        method: nearest, bilinear, cubic, average or mode.
    """
    made, sides = [bands], np.array(bands.shape[1:])
    while sides.max() > _TILE and not (sides % 2).any():
        sides //= 2
        made.append(_every(bands, 1 << len(made)) if method == "nearest" else _halved(made[-1], method))
    return made


def _every(bands: Masked, step: int) -> Masked:
    """The pixels in which the middles of squares of `step` pixels lie."""
    return np.ma.MaskedArray(bands[:, step // 2 :: step, step // 2 :: step])


def _halved(bands: Masked, method: str) -> Masked:
    """Band by band, so that no more than one is in memory once more."""
    return np.ma.MaskedArray(np.ma.stack([_half(band, method) for band in bands]))


def _half(band: Masked, method: str) -> Masked:
    if band.dtype.kind == "f" or np.ma.is_masked(band):
        return rounded(band.dtype, _read(with_nan(band), method, np.nan))
    values = np.ma.getdata(band).astype("uint8" if band.dtype == bool else band.dtype.newbyteorder("="), copy=False)
    return np.ma.MaskedArray(_read(values, method, None).astype(band.dtype, copy=False))


def _read(values: NDArray[Any], method: str, nodata: float | None) -> NDArray[Any]:
    """By the way of GDAL's that makes overviews: ten to fifty times as fast as to warp them."""
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine

    height, width = values.shape
    shape = {"height": height, "width": width, "count": 1, "dtype": values.dtype, "nodata": nodata}
    # that it lies somewhere is said for no other reason than that rasterio warns without
    with MemoryFile() as file, file.open(driver="MEM", transform=Affine.scale(2), **shape) as dataset:
        dataset.write(values, 1)
        made: NDArray[Any] = dataset.read(1, out_shape=(height // 2, width // 2), resampling=Resampling[method])
    return made
