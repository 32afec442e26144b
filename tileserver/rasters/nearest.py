"""Nearest neighbours as GDAL's warper finds them, value for value, without its costs of each tile.

Of a row of pixels GDAL's approximating transformer (GDALApproxTransform) projects the first, the middle and the last;
where the middle lies no farther than an eighth of a pixel from the line between the others, so do all, else each half
of the row is looked at by itself.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from tileserver.rasters.files import Level, RasterFile
from tileserver.tiles import Tile

Masked = np.ma.MaskedArray[Any, Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Positions = tuple[Floats, Floats]
"""Across and down, in pixels."""
Projection = Callable[[Floats, Floats], Positions]
"""Of as many x as y, the positions."""

_TOLERANCE: Final = 0.125
_FEW: Final = 5
"""Columns that are all projected."""
_MARGIN: Final = 64
"""Pixels around a file's bounds, which are themselves not exact, where it is looked for."""
_ALMOST: Final = 1e-10
"""Of a pixel: what is so near the next is in it."""
_OPAQUE: Final = 255
_LIMIT: Final = 1 << 24
"""Values that are read at once; of more GDAL reads a part after the other."""


class Places(NamedTuple):
    """Where a tile's pixels lie."""

    level: Level
    rows: NDArray[np.bool_]
    """Of the tile's rows those that may reach the file."""
    across: Floats
    """In pixels of the level, (these rows, columns)."""
    down: Floats


def read(file: RasterFile, tile: Tile, bands: tuple[int, ...]) -> Masked | None:
    """A tile of a plain file; None where that takes more memory than it should, or the tile cannot be projected."""
    found = np.ma.MaskedArray(np.zeros((len(bands), tile.size, tile.size), file.dataset.dtypes[0]), True)
    where = places(file, tile)
    if where.rows.any():
        values = _sampled(where, bands)
        if values is None:
            return None
        found[:, where.rows] = values
    return found


def places(file: RasterFile, tile: Tile) -> Places:
    """Of a tile's pixels on the file, or on its overview that is read for it."""
    west, _, east, north = tile.bounds_3857
    level = file.best_level(round((east - west) / min(file.resolution, (east - west) / tile.size)), tile.size)
    middles = (np.arange(tile.size) + 0.5) * (east - west) / tile.size
    xs, ys = west + middles, north - middles
    lowest, highest = file.rows
    margin = _MARGIN * file.resolution
    rows = (ys > lowest - margin) & (ys < highest + margin)
    return Places(level, rows, *positions(_projection(file, level), xs, ys[rows], level.shape))


def positions(project: Projection, xs: Floats, ys: Floats, shape: tuple[int, int]) -> Positions:
    """Where the pixels of a grid lie, each (rows, columns): those just outside of so many rows and columns exactly."""
    if not len(ys):
        return np.empty((0, len(xs))), np.empty((0, len(xs)))
    across, down = approximated(project, xs, ys)
    near = ~_inside(across, down, shape, 0) & _inside(across, down, shape, _TOLERANCE)
    if near.any():
        at, of = np.nonzero(near)
        across[near], down[near] = project(xs[of], ys[at])
    return across, down


def approximated(project: Projection, xs: Floats, ys: Floats) -> Positions:
    """The same as GDAL approximates it."""
    last, middle = len(xs) - 1, (len(xs) - 1) // 2
    if last < _FEW:
        return _grid(project, xs, ys)
    ends = _grid(project, xs[[0, middle, last]], ys)
    shares = (xs - xs[0]) / (xs[-1] - xs[0])
    with np.errstate(invalid="ignore"):  # what cannot be projected is infinitely far
        off = sum(np.abs(own[:, 0] + (own[:, 2] - own[:, 0]) * shares[middle] - own[:, 1]) for own in ends)
        across, down = (own[:, :1] + (own[:, 2:] - own[:, :1]) * shares for own in ends)
    far = ~(off <= _TOLERANCE)
    if far.any():
        for half in (slice(middle), slice(middle, None)):
            across[far, half], down[far, half] = approximated(project, xs[half], ys[far])
    return across, down


def _grid(project: Projection, xs: Floats, ys: Floats) -> Positions:
    across, down = project(np.tile(xs, len(ys)), np.repeat(ys, len(xs)))
    return across.reshape(len(ys), len(xs)), down.reshape(len(ys), len(xs))


def _projection(file: RasterFile, level: Level) -> Projection:
    inverse = ~file.dataset.transform

    def project(x: Floats, y: Floats) -> Positions:
        x, y = file.to_file.transform(x, y)
        across = (inverse.a * x + inverse.b * y + inverse.c) / level.across
        return across, (inverse.d * x + inverse.e * y + inverse.f) / level.down

    return project


def _inside(across: Floats, down: Floats, shape: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    height, width = shape
    return (across >= -margin) & (across < width + margin) & (down >= -margin) & (down < height + margin)


def _sampled(where: Places, bands: tuple[int, ...]) -> Masked | None:
    """The values there; None of too many, or where positions are no numbers."""
    if not (np.isfinite(where.across).all() and np.isfinite(where.down).all()):
        return None
    data = where.level.dataset
    across, down = (np.floor(each + _ALMOST).astype(np.int64) for each in (where.across, where.down))
    (left, right), (top, bottom) = _within(across, data.width), _within(down, data.height)
    if (right - left) * (bottom - top) * len(bands) > _LIMIT:
        return None
    if left >= right or top >= bottom:
        return np.ma.MaskedArray(np.zeros((len(bands), *across.shape), data.dtypes[0]), True)
    window = ((top, bottom), (left, right))
    inside = (across >= left) & (across < right) & (down >= top) & (down < bottom)
    at = np.where(inside, (down - top) * (right - left) + across - left, 0)
    sampled = data.read(bands, window=window).reshape(len(bands), -1).take(at, axis=1)
    missing = ~inside
    if MaskFlags.per_dataset in data.mask_flag_enums[bands[0] - 1]:
        mask = data.read_masks(bands[0], window=window).ravel().take(at)
        # of an alpha band rio-tiler takes only what is opaque for a value
        missing |= mask < _OPAQUE if MaskFlags.alpha in data.mask_flag_enums[bands[0] - 1] else mask == 0
    elif data.nodata is not None:
        missing = missing | (np.isnan(sampled) if np.isnan(data.nodata) else sampled == data.nodata)
    values = np.where(inside, sampled, sampled.dtype.type(0))
    return np.ma.MaskedArray(values, np.broadcast_to(missing, sampled.shape))


def _within(places: Integers, length: int) -> tuple[int, int]:
    """The part of `length` pixels that has all of the places that it has any of."""
    return max(int(places.min()), 0), min(int(places.max()) + 1, length)
