"""Nearest neighbours as GDAL's warper finds them, value for value, without its costs of each tile.

Of a row of pixels GDAL's approximating transformer (GDALApproxTransform) projects the first, the middle and the last;
where the middle lies no farther than an eighth of a pixel from the line between the others, so do all, else each half
of the row is looked at by itself.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from tileserver.rasters.files import Level, RasterFile, nothing
from tileserver.tiles import Tile

Masked = np.ma.MaskedArray[Any, Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
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
    where = places(file, tile)
    if where.rows.all():
        return _sampled(where, bands)
    found = nothing((len(bands), tile.size, tile.size), file.dataset.dtypes[0])
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
    if _all_inside(across, shape[1]) and _all_inside(down, shape[0]):  # as most tiles
        return across, down
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
        far = ~(off <= _TOLERANCE)
        if far.all():  # no line is kept
            across, down = np.empty((2, len(ys), len(xs)))
        else:
            across, down = (_line(own[:, 0], own[:, 2], shares) for own in ends)
    if far.any():
        for half in (slice(middle), slice(middle, None)):
            across[far, half], down[far, half] = approximated(project, xs[half], ys[far])
    return across, down


def _line(first: Floats, last: Floats, shares: Floats) -> Floats:
    """From the first to the last of each row, (rows, shares)."""
    found = np.multiply.outer(last - first, shares)
    found += first[:, None]
    return found


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


def _all_inside(places: Floats, length: int) -> bool:
    return bool(places.min() >= 0 and places.max() < length)


def _sampled(where: Places, bands: tuple[int, ...]) -> Masked | None:
    """The values there; None of too many, or where positions are no numbers."""
    data, shape = where.level.dataset, (len(bands), *where.across.shape)
    spans = [(float(own.min()) + _ALMOST, float(own.max()) + _ALMOST) for own in (where.down, where.across)]
    if not np.isfinite(spans).all():
        return None
    rows, columns = _within(*spans[0], data.height), _within(*spans[1], data.width)
    if len(rows) * len(columns) * len(bands) > _LIMIT:
        return None
    if not (rows and columns):
        return nothing(shape, data.dtypes[0])
    window = ((rows.start, rows.stop), (columns.start, columns.stop))
    at, inside = _indices(where, rows, columns)
    sampled = data.read(bands, window=window).reshape(len(bands), -1).take(at, axis=1)
    missing = ~inside
    if missing.any():
        sampled[:, missing] = 0
    if MaskFlags.per_dataset in data.mask_flag_enums[bands[0] - 1]:
        mask = data.read_masks(bands[0], window=window).ravel().take(at)
        # of an alpha band rio-tiler takes only what is opaque for a value
        missing |= mask < _OPAQUE if MaskFlags.alpha in data.mask_flag_enums[bands[0] - 1] else mask == 0
    elif data.nodata is not None:
        missing = missing | (np.isnan(sampled) if np.isnan(data.nodata) else sampled == data.nodata)
    return np.ma.MaskedArray(sampled, np.broadcast_to(missing, shape))


def _within(first: float, last: float, length: int) -> range:
    """Of `length` pixels those from the first position to the last."""
    return range(max(math.floor(first), 0), min(math.floor(last) + 1, length))


def _indices(where: Places, rows: range, columns: range) -> tuple[Integers, NDArray[np.bool_]]:
    """Of each place the index of its pixel in a window, and whether it lies there; else it is one at the edge."""
    down, across = where.down + _ALMOST, where.across + _ALMOST
    inside = (down >= rows.start) & (down < rows.stop) & (across >= columns.start) & (across < columns.stop)
    if not inside.all():
        np.clip(down, rows.start, rows.stop - 1, out=down)
        np.clip(across, columns.start, columns.stop - 1, out=across)
    at = down.astype(np.int32)  # of positive numbers as floor
    at -= rows.start
    at *= len(columns)
    at += across.astype(np.int32)
    at -= columns.start
    return at, inside
