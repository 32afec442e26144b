"""What a function gave for an ancestor tile, stored so that tiles are cut from it.

A magic number, the length of a head, the head in msgpack, and arrays, in squares, and tables as they lie in memory: a
worker maps the file, and looks only at what a tile needs.
"""

import struct
from functools import cached_property
from typing import Any, Final, NamedTuple

import geopandas
import msgspec
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from tileserver.encode import clip, exchange, mosaic, packing, pyramid, raster, resample, smooth, vector, warp
from tileserver.encode.clip import Near, Some
from tileserver.encode.drawn import Drawn
from tileserver.encode.kinds import article, is_georeferenced, is_layers, kind_of
from tileserver.encode.mosaic import Mosaic
from tileserver.encode.raster import Masked, Raster
from tileserver.encode.smooth import Smooth
from tileserver.encode.window import REACH, Window
from tileserver.errors import BadResultError
from tileserver.formats import PICTURES, POSSIBLE, Kind
from tileserver.jobs import Output
from tileserver.tiles import Bounds, Tile

MEDIA_TYPE: Final = "application/x-tileserver-block"
_MAGIC: Final = b"TSB2"
_LENGTH: Final = struct.Struct("<I")
_FOR_ARROW: Final = frozenset({"string", "empty"})
"""Of columns of objects those that Arrow gives back as they were; others are packed value by value."""
_EXTENSIONS: Final = frozenset(
    [
        "geometry",
        "string",
        "str",
        "boolean",
        *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
        "Float32",
        "Float64",
    ]
)
"""The same of types that are not NumPy's."""
_PLANE, _BANDS_FIRST, _BANDS_LAST = "yx", "byx", "yxb"
_DRAWN: Final = (*PICTURES, "preview")
"""Of what becomes one of these nobody wants the values."""
_PLENTY: Final = 2
"""Pixels of a raster from elsewhere beside each other on one of the tile's."""
_MARGIN: Final = 1.0
"""Of a tile's 4,096 units, beyond its buffer: by so much rounding may move a feature's edge."""


class _Part(msgspec.Struct, array_like=True):
    """An array, or a table of features."""

    name: str
    """`bands`, `mask` or `alpha`; or that of a layer."""
    length: int
    """Bytes."""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    """Of the squares of an array."""
    size: tuple[int, int] = (0, 0)
    """Its height and width."""
    finite: bool = True
    """Whether all its values are."""
    packed: tuple[str, ...] = ()
    """Columns of a table whose values are packed."""
    level: int = 0
    """Of an array its place among `pyramid.levels`."""


class _Head(msgspec.Struct, array_like=True):
    kind: str
    """`raster`, `vector`, `layers`, or empty where there is nothing."""
    parts: tuple[_Part, ...] = ()
    bounds: tuple[float, float, float, float] | None = None
    crs: str | None = None
    axes: str = _BANDS_FIRST
    """Of the array that the function returned."""
    paired: bool = False
    """Whether it returned its bounds with it."""
    masked: bool = False
    """Whether that was a masked array."""


Piece = tuple[_Part, Any]
"""With its bytes, in whatever holds them."""


class _Bands(NamedTuple):
    """An array as it is stored, and where that lies."""

    values: Mosaic
    mask: Mosaic | None
    """Where they have no value; of one band, where all have it in common."""
    alpha: Mosaic | None
    bounds: Bounds | None
    crs: Any


def draw(result: Any, output: Output | None = None) -> Drawn:
    """A result in the form that `Block` understands.

    Args:
        result: What the function returned.
        output: Its `resampling` makes smaller arrays of a raster, once, down to its `size`, for tiles that show more of
            it than they have pixels; by default such a tile has to make its own.

    Raises:
        BadResultError: it is neither a raster nor features.
    """
    if result is None:
        return Drawn(body=_joined(_Head(""), []), media_type=MEDIA_TYPE, empty=True)
    kind = kind_of(result)
    if kind is Kind.RASTER:
        return Drawn(body=_raster(raster.read(result), result, output), media_type=MEDIA_TYPE)
    if kind is not Kind.VECTOR:
        raise BadResultError(
            f"the function returned {article(type(result).__name__)}, from which no tile can be cut; "
            "without block_zoom it is called for each tile"
        )
    frames = result if is_layers(result) else {"": result}
    pieces = [_table(name, vector.with_crs(vector.read(frame))) for name, frame in frames.items()]
    return Drawn(body=_joined(_Head("layers" if is_layers(result) else "vector"), pieces), media_type=MEDIA_TYPE)


def _joined(head: _Head, pieces: list[Piece]) -> bytes:
    packed = msgspec.msgpack.encode(msgspec.structs.replace(head, parts=tuple(part for part, _ in pieces)))
    return b"".join((_MAGIC, _LENGTH.pack(len(packed)), packed, *(body for _, body in pieces)))


def _axes(result: Any) -> str:
    """What tiles that are cut have too; of what is no plain array bands come first."""
    array = result[0] if is_georeferenced(result) else result
    if not isinstance(array, np.ndarray):
        return _BANDS_FIRST
    return _PLANE if array.ndim == 2 else _BANDS_LAST if raster.has_bands_last(array) else _BANDS_FIRST


def _raster(whole: Raster, result: Any, output: Output | None) -> bytes:
    pieces: list[Piece] = []
    for level, bands in enumerate(_levels(whole.bands, output)):
        pieces += _bands(bands, level)
    if whole.alpha is not None:
        for level, alpha in enumerate(_levels(np.ma.MaskedArray(whole.alpha[np.newaxis]), output)):
            pieces.append(_array("alpha", np.ma.getdata(alpha), level))
    paired = is_georeferenced(result)
    masked = isinstance(result[0] if paired else result, np.ma.MaskedArray)
    return _joined(_Head("raster", (), whole.bounds, _text(whole.crs), _axes(result), paired, masked), pieces)


def _levels(bands: Masked, output: Output | None) -> list[Masked]:
    return [bands] if output is None else pyramid.levels(bands, output.resampling, output.size)


def _bands(bands: Masked, level: int) -> list[Piece]:
    values, mask = np.ma.getdata(bands), np.ma.getmask(bands)
    if values.dtype.kind == "f" and mask is not np.ma.nomask:
        values, mask = np.where(mask, np.asarray(np.nan, values.dtype), values), np.ma.nomask
    if not np.any(mask):
        return [_array("bands", values, level)]
    hidden = np.asarray(mask)
    shared = hidden[:1] if (hidden == hidden[0]).all() else hidden
    return [_array("bands", values, level), _array("mask", shared, level)]


def _text(crs: Any) -> str | None:
    from rasterio.crs import CRS

    return None if crs is None else str(CRS.from_user_input(crs).to_wkt())


def _array(name: str, bands: NDArray[Any], level: int) -> Piece:
    stored = mosaic.of(bands)
    squares, size = stored.squares, (stored.height, stored.width)
    part = _Part(name, squares.nbytes, squares.dtype.str, squares.shape, size, stored.finite, level=level)
    return part, squares.reshape(-1).view(np.uint8)


def _table(name: str, frame: geopandas.GeoDataFrame) -> Piece:
    packed = tuple(column for column in frame.columns if not _is_for_arrow(frame[column]))
    if packed:
        frame = frame.copy(deep=False)
        for column in packed:
            frame[column] = packing.column(frame[column].astype(object))
    body = exchange.draw(frame).body
    return _Part(name, len(body), packed=packed), body


def _is_for_arrow(column: Any) -> bool:
    """Whether Arrow gives the values back as they were."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype.categories.dtype.kind in "biuf" or _is_for_arrow(dtype.categories.to_series())
    if dtype == np.dtype(object):
        return pd.api.types.infer_dtype(column, skipna=True) in _FOR_ARROW
    known = isinstance(dtype, (pd.DatetimeTZDtype, pd.ArrowDtype)) or dtype.name in _EXTENSIONS
    return known or (isinstance(dtype, np.dtype) and dtype.kind in "biufmM")


class Block:
    """What `draw` wrote, to cut tiles from; what it takes for that is made with the first."""

    def __init__(self, stored: Any, ancestor: Tile) -> None:
        """Args: ancestor: the tile that the function was called for.

        Raises:
            ValueError: `stored` is no such thing.
        """
        self._view, self._ancestor = memoryview(stored), ancestor
        start = len(_MAGIC) + _LENGTH.size
        if bytes(self._view[: len(_MAGIC)]) != _MAGIC:
            raise ValueError("this is no block")
        (length,) = _LENGTH.unpack(self._view[len(_MAGIC) : start])
        self._head = msgspec.msgpack.decode(self._view[start : start + length], type=_Head)
        self._start = start + length

    def cut(self, tile: Tile, output: Output) -> Any:
        """What the function would have returned for a tile at or below the ancestor, as far as can be told.

        Of a raster an array of `output.size` squared, its axes as they were, or a `Raster` where it has an alpha of its
        own; for a function an array that was returned with bounds has those of the tile, in degrees as the first were.
        Of features those near the tile, whole; None where the function returned that. What is written as a picture or
        as a vector tile may be given as less: pixels that have yet to be made, or rows of a frame.

        Raises:
            InvalidParameterError: `output.resampling` is not known.
        """
        match self._head.kind:
            case "raster" if output.exchange:
                return self._handed(tile, output)
            case "raster":
                found = self._on_tile(tile, output)
                return found if isinstance(found, Raster | Smooth) else _ordered(found, self._head.axes)
            case "vector" | "layers":
                near = {name: layer.near(tile, output.buffer) for name, layer in self._layers.items()}
                named = self._head.kind == "layers"
                if _format(Kind.VECTOR, output) == "mvt":
                    return Near(near, named)
                frames = {name: some.alone() for name, some in near.items()}
                return frames if named else frames[""]
        return None

    def _on_tile(self, tile: Tile, output: Output) -> Any:
        opacities = [each._replace(values=each.alpha, mask=None) for each in self._rasters if each.alpha is not None]
        if not opacities and _format(Kind.RASTER, output) in _DRAWN and output.resampling in REACH:
            own = _own(self._rasters, self._ancestor, tile, output)
            if own and not own[1].is_whole(output.size):
                return smooth.of(own[0].values, own[0].mask, own[1], output.size, output.resampling)
        bands = _fitted(self._rasters, self._ancestor, tile, output)
        if not opacities:
            return bands if np.ma.is_masked(bands) else np.ma.getdata(bands)
        alpha = _fitted(opacities, self._ancestor, tile, output)
        return Raster(raster.masked(bands), alpha=np.ma.filled(alpha, 0)[0])

    def _handed(self, tile: Tile, output: Output) -> Any:
        """For a function: masked where it was, or where there is no other way to say that nothing is there."""
        head, fit = self._head, _in_degrees if self._head.paired else _fitted
        bands = fit(self._rasters, self._ancestor, tile, output)
        array = _ordered(raster.masked(bands) if head.masked else _plain(bands), head.axes)
        return (array, tile.bounds) if head.paired else array

    def _bodies(self) -> list[tuple[_Part, memoryview]]:
        ends = self._start + np.cumsum([0, *(part.length for part in self._head.parts)])
        return [(part, self._view[ends[at] : ends[at + 1]]) for at, part in enumerate(self._head.parts)]

    @cached_property
    def _rasters(self) -> list[_Bands]:
        """What was stored first, then smaller ones; not copied: a window reads what it needs."""
        bounds = Bounds(*self._head.bounds) if self._head.bounds else None
        found: dict[int, dict[str, Mosaic]] = {}
        for part, body in self._bodies():
            squares = np.frombuffer(body, part.dtype).reshape(part.shape)
            found.setdefault(part.level, {})[part.name] = Mosaic(squares, *part.size, part.finite)
        return [
            _Bands(each["bands"], each.get("mask"), each.get("alpha"), bounds, self._head.crs)
            for _, each in sorted(found.items())
        ]

    @cached_property
    def _layers(self) -> dict[str, "_Layer"]:
        return {part.name: _Layer(_frame(part, body)) for part, body in self._bodies()}


def _frame(part: _Part, body: memoryview) -> geopandas.GeoDataFrame:
    frame = exchange.read(body, exchange.FRAME)
    for name in part.packed:
        frame[name] = packing.unpacked(frame[name])
    return frame


class _Layer:
    """Features, and a tree of what they reach."""

    def __init__(self, frame: geopandas.GeoDataFrame) -> None:
        self._frame = frame
        boxes, self._rows = clip.reach(frame)
        self._tree = shapely.STRtree(shapely.box(*boxes.T))

    def near(self, tile: Tile, buffer: int) -> Some:
        """Those whose bounds meet the tile and `buffer` 4,096ths of its side around it, as they were and in order."""
        west, south, east, north = tile.bounds_3857
        over = (east - west) / 4096 * (buffer + _MARGIN)
        found = self._tree.query(shapely.box(west - over, south - over, east + over, north + over))
        return Some(self._frame, np.unique(self._rows[found]))


def _plain(bands: raster.Array) -> Any:
    """No masked array, where its type has a value that says that there is none, or there is no such place."""
    if bands.dtype.kind == "f":
        return np.ma.filled(bands, np.nan)
    return bands if np.ma.is_masked(bands) else np.ma.getdata(bands)


def _ordered(bands: Any, axes: str) -> Any:
    """Bands as the function had them."""
    if axes == _PLANE:
        return bands[0]
    return np.moveaxis(bands, 0, 2) if axes == _BANDS_LAST else bands


def _format(kind: Kind, output: Output) -> str:
    """What a result of a kind is written in; empty where it is not written."""
    return next((name for name in output.formats if name in POSSIBLE[kind]), "")


def _own(stored: list[_Bands], ancestor: Tile, tile: Tile, output: Output) -> tuple[_Bands, Window] | None:
    """Bands and the tile's part of them, where its pixels are made of them along their own axes."""
    bounds, crs = stored[0].bounds, stored[0].crs
    if bounds is not None and crs is not None and not warp.is_tile(bounds, crs, ancestor):
        return None
    bands = _fine_enough(stored, output.size << (tile.z - ancestor.z))
    window = _window(bands.values, ancestor, tile)
    able = output.resampling in resample.METHODS or window.is_whole(output.size)
    return (bands, window) if able and window.fits(output.size) else None


def _fitted(stored: list[_Bands], ancestor: Tile, tile: Tile, output: Output) -> raster.Array:
    """Bands on the tile's pixels; what has no place of its own lies on the ancestor."""
    own = _own(stored, ancestor, tile, output)
    if own:
        return resample.finer(own[0].values, own[0].mask, own[1], output.size, output.resampling)
    bounds, crs = stored[0].bounds, stored[0].crs
    if bounds is None or crs is None:
        bounds, crs = ancestor.bounds_3857, "EPSG:3857"
    near, bounds = _near(stored, bounds, crs, tile)
    return warp.fit(near, bounds, crs, tile, output)


def _in_degrees(stored: list[_Bands], _: Tile, tile: Tile, output: Output) -> Masked:
    """Bands on a grid over the tile whose rows are of equal latitude; they have bounds of their own."""
    bounds, crs = stored[0].bounds, stored[0].crs
    assert bounds is not None
    near, part = _near(stored, bounds, crs, tile)
    west, south, east, north = tile.bounds
    # bounds may go on beyond the 180th meridian, tiles do not
    turn = 360.0 if east <= bounds.east - 360.0 else -360.0 if west >= bounds.west + 360.0 else 0.0
    return warp.onto(near, part, crs, Bounds(west + turn, south, east + turn, north), crs, output)


def _fine_enough(stored: list[_Bands], side: int) -> _Bands:
    """The smallest whose sides have so many pixels, or else the largest."""
    return next((each for each in reversed(stored) if min(each.values.height, each.values.width) >= side), stored[0])


def _near(stored: list[_Bands], bounds: Bounds, crs: Any, tile: Tile) -> tuple[Masked, Bounds]:
    """What of them lies on the tile, with some pixels around it, and its bounds.

    Of the smallest of which two pixels or more lie beside each other on one of the tile's: warped from fewer it would
    be another picture.
    """
    whole = stored[0].values
    density = warp.density(whole.height, whole.width, bounds, crs, tile)
    bands = _fine_enough(stored, round(min(whole.height, whole.width) * _PLENTY / density))
    rows, columns, part = warp.window(bands.values.height, bands.values.width, bounds, crs, tile)
    hidden = None if bands.mask is None else bands.mask.read(rows, columns)
    return np.ma.MaskedArray(mosaic.bands_first(bands.values.read(rows, columns), hidden)), part


def _window(bands: Mosaic, ancestor: Tile, tile: Tile) -> Window:
    """The tile's part of what lies on the ancestor."""
    down = tile.z - ancestor.z
    height, width = bands.height / (1 << down), bands.width / (1 << down)
    left, top = tile.x - (ancestor.x << down), tile.y - (ancestor.y << down)
    return Window(left * width, top * height, width, height)
