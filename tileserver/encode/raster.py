"""Arrays to pixels: axes, bands, place, range, colour. What comes out is written by `image`."""

import reprlib
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import colormaps, colour, image, warp
from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import is_a, is_georeferenced
from tileserver.encode.palette import Indexed
from tileserver.encode.smooth import Smooth
from tileserver.errors import BadResultError, InvalidParameterError
from tileserver.jobs import Output
from tileserver.tiles import Bounds, Tile

Array = NDArray[Any]
Masked = np.ma.MaskedArray[Any, Any]

_SHAPES = "(height, width), (bands, height, width) or (height, width, 1 to 4) of numbers or bool"
_AXES = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"))


@dataclass(frozen=True, slots=True)
class Raster:
    """Bands and where they lie."""

    bands: Masked
    """(bands, height, width); masked where there is no value, NaN among it."""
    bounds: Bounds | None = None
    """In units of `crs`; None for an array that has no place of its own."""
    crs: Any = "EPSG:4326"
    """What rasterio understands as a coordinate reference system; None where nobody says of which the bounds are."""
    alpha: NDArray[np.uint8] | None = None
    """(height, width): opacity beside what the bands say."""

    @property
    def count(self) -> int:
        """Of bands."""
        return int(self.bands.shape[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of these."""
        return np.dtype(self.bands.dtype)

    def some(self, bands: list[int] | slice) -> "Raster":
        """Of the bands, counted from 0."""
        return replace(self, bands=self.bands[bands])


AnyRaster = TypeVar("AnyRaster", Raster, Smooth)


def draw(result: Any, name: str, output: Output, tile: Tile | None, *, sample: bool = False) -> Drawn:
    """A raster result as a picture: of its own size, or of `output.size` where it had to be warped to the tile."""
    raster = result if isinstance(result, Smooth) else read(result)
    facts = _facts(raster, output) if sample else {}
    return Drawn.of(name, image.encode(_pixels(raster, output, tile), name, output), **facts)


def _pixels(found: Raster | Smooth, output: Output, tile: Tile | None) -> NDArray[np.uint8] | Indexed:
    if isinstance(found, Smooth):
        smooth = chosen(found, output.bands)
        pixels = colour.of_smooth(smooth, output)
        if pixels is not None:
            return pixels
        raster = Raster(masked(smooth.array()))
    else:
        raster = chosen(found, output.bands)
        raster = placed(raster, tile, output) if tile else raster
    return colour.pixels(raster.bands, output, raster.alpha)


def _facts(raster: Raster | Smooth, output: Output) -> dict[str, Any]:
    """Data type, number of bands, and some of the colours of a colour map."""
    facts = {"dtype": str(raster.dtype), "bands": raster.count}
    return facts | ({"colours": colormaps.samples(output.colormap)} if output.colormap else {})


def read(result: Any) -> Raster:
    """The bands of an ndarray, an (array, bounds in degrees) pair, an `ImageData`, an xarray object, or of a `Raster`.

    Raises:
        BadResultError: it has no pixel, or a type or shape that no picture has.
    """
    if isinstance(result, Raster):
        return result
    if is_georeferenced(result):
        return Raster(masked(_first(result[0])), _bounds(result[1]))
    if is_a(result, "rio_tiler.models", "ImageData"):
        return _image_data(result)
    if is_a(result, "xarray", "Dataset"):
        return _dataset(result)
    if is_a(result, "xarray", "DataArray"):
        return _data_array(result)
    return Raster(masked(_first(result)))


def joined(dataset: Any) -> Any:
    """The only variable of a Dataset; of several one array whose first axis they are."""
    if not len(dataset):
        raise BadResultError("the function returned a Dataset without a variable")
    return next(iter(dataset.values())) if len(dataset) == 1 else dataset.to_array()


def chosen(raster: AnyRaster, bands: tuple[int, ...] | None) -> AnyRaster:
    """The bands to show, counted from 1; without a choice all of up to four, else the first three.

    Raises:
        InvalidParameterError: a band that is not there, or more than four.
    """
    if bands is None:
        return raster if raster.count <= 4 else raster.some(slice(3))
    if not 1 <= len(bands) <= 4:
        raise InvalidParameterError(f"bands names {len(bands)} bands; a picture has 1 to 4", parameter="bands")
    for band in bands:
        if not 1 <= band <= raster.count:
            raise InvalidParameterError(f"band {band} does not exist; the result has {raster.count}", parameter="bands")
    return raster.some([band - 1 for band in bands])


def placed(raster: Raster, tile: Tile, output: Output) -> Raster:
    """The raster as it is, for clients to stretch over the tile; warped to its pixels where it lies elsewhere."""
    if raster.bounds is None or raster.crs is None or warp.is_tile(raster.bounds, raster.crs, tile):
        return raster
    bands = warp.fit(raster.bands, raster.bounds, raster.crs, tile, output)
    if raster.alpha is None:
        return replace(raster, bands=bands)
    alpha = warp.fit(np.ma.MaskedArray(raster.alpha[np.newaxis]), raster.bounds, raster.crs, tile, output)
    return replace(raster, bands=bands, alpha=alpha.filled(0)[0])


def _first(array: Array) -> Array:
    """Bands first."""
    return np.moveaxis(array, 2, 0) if has_bands_last(array) else array


def has_bands_last(array: Array) -> bool:
    """Whether three axes are (height, width, bands): the last has at most 4, both others more."""
    return array.ndim == 3 and array.shape[2] <= 4 < min(array.shape[:2])


def masked(array: Array) -> Masked:
    """(bands, height, width) of that or of (height, width); without a value where masked or NaN."""
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3):
        raise BadResultError(f"the function returned {_described(array)}; return {_SHAPES}")
    if array.size == 0:
        raise BadResultError(f"the function returned {_described(array)}, which has no pixel; return {_SHAPES}")
    if array.ndim == 2:
        array = array[np.newaxis]
    mask = np.ma.getmask(array)
    if array.dtype.kind == "f":
        missing = np.isnan(np.ma.getdata(array))
        mask = mask | missing if missing.any() else mask
    return np.ma.MaskedArray(np.ma.getdata(array), mask)


def _described(array: Array) -> str:
    name = str(array.dtype)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} array of shape {array.shape}"


def _bounds(bounds: Any) -> Bounds:
    try:
        west, south, east, north = (float(edge) for edge in bounds)
    except (TypeError, ValueError):
        west = south = east = north = np.nan
    if -180 <= east < west <= 180:  # across the 180th meridian
        east += 360
    # false for NaN as well
    if not (west < east and south < north and np.isfinite((west, south, east, north)).all()):
        shown = " ".join(reprlib.repr(bounds).split())
        raise BadResultError(
            f"the function returned an array with the bounds {shown}; return (west, south, east, north) in degrees"
        )
    return Bounds(west, south, east, north)


def _image_data(result: Any) -> Raster:
    bands = masked(result.array)
    alpha = result.alpha_mask
    if alpha is not None and alpha.dtype != np.uint8:
        alpha = (alpha != 0).astype(np.uint8) * np.uint8(255)
    if result.bounds is None or result.crs is None:
        return Raster(bands, alpha=alpha)
    return Raster(bands, Bounds(*result.bounds), result.crs, alpha)


def _dataset(dataset: Any) -> Raster:
    """The variables as bands, each without a value where its own nodata is."""
    raster = _data_array(joined(dataset))
    if len(dataset) == 1 or len(raster.bands) != len(dataset):
        return raster
    nodata = [_nodata(variable) for variable in dataset.values()]
    values = np.ma.getdata(raster.bands)
    absent = [
        np.full(band.shape, False) if each is None else band == each for band, each in zip(values, nodata, strict=True)
    ]
    return replace(raster, bands=np.ma.MaskedArray(raster.bands, absent))


def _data_array(array: Any) -> Raster:
    """The names of an xarray array's dimensions say which are rows and columns."""
    for x, y in _AXES:
        if {x, y} <= set(array.dims):
            array = array.transpose(..., y, x)
            return Raster(masked(_present(array)), *_extent(array))
    return Raster(masked(_first(_present(array))))


def _present(array: Any) -> Array:
    """The values, masked where they are what rioxarray knows to be nodata."""
    nodata, values = _nodata(array), array.values
    return values if nodata is None else np.ma.MaskedArray(values, values == nodata)


def _nodata(array: Any) -> Any:
    """The value that rioxarray knows as none; None where there is no such value, or the type cannot hold it."""
    try:
        return array.rio.nodata if hasattr(array, "rio") else None
    except OverflowError:
        return None


def _extent(array: Any) -> tuple[Bounds | None, Any]:
    """Where an xarray array lies by its cell centres: in its `rio.crs`, else in degrees if the axes are lon and lat."""
    for x, y in _AXES:
        if array.dims[-2:] == (y, x) and _is_grid(array, x) and _is_grid(array, y):
            (west, east), (north, south) = _edges(array[x].values), _edges(array[y].values)
            # rows from the south make north the lower edge: GDAL reads such a transform as it stands
            return Bounds(west, south, east, north), _crs(array, x)
    return None, None


def _is_grid(array: Any, axis: str) -> bool:
    """Whether an axis has coordinates between which there is a distance."""
    if axis not in array.coords or array.sizes[axis] < 2 or array[axis].dtype.kind not in "iuf":
        return False
    first, last = array[axis].values[[0, -1]]
    return bool(np.isfinite((first, last)).all() and first != last)


def _crs(array: Any, x: str) -> Any:
    known = getattr(array.rio, "crs", None) if hasattr(array, "rio") else None
    return known if known is not None or x == "x" else "EPSG:4326"


def _edges(centres: Array) -> tuple[float, float]:
    first, last = float(centres[0]), float(centres[-1])
    half = (last - first) / (len(centres) - 1) / 2
    if np.abs(np.linspace(first, last, len(centres)) - centres).max() > abs(half):
        raise BadResultError("the function returned an array whose coordinates are unevenly spaced; put it on a grid")
    return first - half, last + half
