"""Arrays as NumPy's own file format: data type and shape stay."""

import io
from typing import Any

import numpy as np

from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import is_a, is_georeferenced
from tileserver.encode.raster import Array, Raster, joined
from tileserver.errors import BadResultError, FormatNotPossibleError


def draw(result: Any) -> Drawn:
    """The values of a raster result as npy, of any shape; masked floats are NaN. What has a place loses it.

    Raises:
        BadResultError: an array of Python objects, which only a pickle could hold.
        FormatNotPossibleError: masked values of a type that has no NaN.
    """
    array = _values(result)
    if array.dtype.hasobject:
        raise BadResultError(
            f"the function's array of type {array.dtype} holds Python objects; return numbers, or a list"
        )
    stream = io.BytesIO()
    np.save(stream, _filled(array), allow_pickle=False)
    return Drawn.of("npy", stream.getvalue())


def keeps(result: Any) -> bool:
    """Whether npy says all of a raster result: an array that has no place, and no mask that NaN could not stand for."""
    return isinstance(result, np.ndarray) and (not np.ma.is_masked(result) or result.dtype.kind in "fc")


def _values(result: Any) -> Array:
    if is_georeferenced(result):
        result = result[0]
    elif is_a(result, "rio_tiler.models", "ImageData"):
        result = result.array
    elif is_a(result, "xarray", "Dataset"):
        result = joined(result)
    elif isinstance(result, Raster):
        result = result.bands
    return result if isinstance(result, np.ndarray) else result.values


def _filled(array: Array) -> Array:
    if not np.ma.is_masked(array):
        return np.ma.getdata(array)
    if array.dtype.kind not in "fc":
        raise FormatNotPossibleError(f"masked values of type {array.dtype} cannot be npy; ask for tiff")
    return np.ma.filled(array, np.nan)
