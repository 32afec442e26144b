"""Mapbox Vector Tiles 2.1, vectorised: geometry by shapely, the commands and their bytes by NumPy.

The specification: https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from tileserver.encode import attributes, clip
from tileserver.encode.protobuf import message, number, varints
from tileserver.tiles import Tile

Integers = NDArray[np.int64]

_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO_ONE: Final = 1 << 3 | 1
_LINE_TO: Final = 2
_CLOSE_PATH: Final = 1 << 3 | 7


def encode(
    frame: Any,
    tile: Tile,
    *,
    layer: str = "udf",
    extent: int = 4096,
    buffer: int = 64,
    id_column: str | None = None,
) -> bytes:
    """A vector tile with one layer; no bytes where no feature reaches the tile.

    Geometry is projected to EPSG:3857, clipped to the tile plus `buffer`, and rounded to whole units; what collapses is
    dropped, polygons stay valid, exterior rings have positive area as the specification asks. A feature with geometry
    of several types becomes one feature per type. Missing attributes are left out; datetimes are ISO 8601 text.

    Args:
        frame: GeoDataFrame; without a CRS it is taken as EPSG:4326.
        tile: The tile.
        layer: The layer's name.
        extent: Units of the tile's side.
        buffer: Units that geometry reaches over the edge.
        id_column: The column whose integers become feature ids, beside being attributes; None takes the index. Negative
            numbers and what is not an integer give no id.

    Raises:
        InvalidParameterError: there is no such column.
    """
    geometries, owners = clip.on_tile(frame, tile, extent, buffer)
    streams = [_points(geometries, owners), _lines(geometries, owners), _polygons(geometries, owners)]
    rows = np.concatenate([rows for _, rows, _ in streams])
    if not len(rows):
        return b""
    kinds = np.concatenate([np.full(len(rows), kind) for kind, rows, _ in streams])
    bodies = [body for _, _, bodies in streams for body in bodies]
    order = np.argsort(rows, kind="stable")
    taken = frame.iloc[rows[order]]
    tags, keys, values = attributes.table(taken)
    features = [
        b"".join((identity, message(2, tag) if tag else b"", number(3, int(kinds[at])), message(4, bodies[at])))
        for identity, tag, at in zip(attributes.identities(taken, id_column), tags, order, strict=True)
    ]
    head = number(15, 2) + message(1, layer.encode())
    parts = [message(2, feature) for feature in features]
    parts += [message(3, key) for key in keys] + [message(4, value) for value in values]
    return message(3, b"".join([head, *parts, number(5, extent)]))


Stream = tuple[int, Integers, list[bytes]]
"""The geometry type, the frame's row of each feature, its commands as bytes."""


def _points(geometries: NDArray[Any], owners: Integers) -> Stream:
    chosen = np.isin(shapely.get_type_id(geometries), (0, 4))
    xy, which = shapely.get_coordinates(geometries[chosen], return_index=True)
    owner = owners[chosen][which]
    rows, starts, counts = np.unique(owner, return_index=True, return_counts=True)
    deltas = _zigzag(_deltas(_whole(xy), starts))
    out = np.empty(2 * len(xy) + len(rows), np.int64)
    heads = 2 * starts + np.arange(len(rows))
    out[heads] = counts << 3 | 1
    body = np.ones(len(out), bool)
    body[heads] = False
    out[body] = deltas.ravel()
    return _POINT, rows, varints(out, heads)


def _lines(geometries: NDArray[Any], owners: Integers) -> Stream:
    chosen = np.isin(shapely.get_type_id(geometries), clip.LINES)
    parts, which = shapely.get_parts(geometries[chosen], return_index=True)
    return _paths(_LINE, parts, owners[chosen][which])


def _polygons(geometries: NDArray[Any], owners: Integers) -> Stream:
    chosen = np.isin(shapely.get_type_id(geometries), (3, 6))
    # normalised polygons have clockwise shells; reversed, their area in units (y down) is positive
    wound = shapely.reverse(shapely.normalize(geometries[chosen]))
    parts, which = shapely.get_parts(wound, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    return _paths(_POLYGON, rings, owners[chosen][which][of_part])


def _paths(kind: int, parts: NDArray[Any], owner: Integers) -> Stream:
    """The commands of lines or rings. Parts of one feature follow each other and share a cursor."""
    xy, which = shapely.get_coordinates(parts, return_index=True)
    points = _whole(xy)
    kept = _distinct(points, which)
    if kind == _POLYGON:
        kept &= np.append(which[1:] == which[:-1], False)[: len(which)]  # a ring closes by itself
    points, which = points[kept], which[kept]
    lengths = np.bincount(which, minlength=len(parts))
    # a line has two points at least, a ring three: by chance the numbers of their types
    enough = lengths >= kind
    points, owner, lengths = points[enough[which]], owner[enough], lengths[enough]
    return kind, *_commands(kind, points, owner, lengths)


def _commands(kind: int, points: Integers, owner: Integers, lengths: Integers) -> tuple[Integers, list[bytes]]:
    closing = kind == _POLYGON
    first = np.cumsum(lengths) - lengths
    sizes = 2 * lengths + 2 + closing
    heads = np.cumsum(sizes) - sizes
    rows, starts = np.unique(owner, return_index=True)
    out = np.empty(int(sizes.sum()), np.int64)
    body = np.ones(len(out), bool)
    out[heads], out[heads + 3] = _MOVE_TO_ONE, (lengths - 1) << 3 | _LINE_TO
    body[heads] = body[heads + 3] = False
    if closing:
        out[heads + sizes - 1] = _CLOSE_PATH
        body[heads + sizes - 1] = False
    out[body] = _zigzag(_deltas(points, first[starts])).ravel()
    return rows, varints(out, heads[starts])


def _whole(xy: NDArray[np.float64]) -> Integers:
    return np.rint(xy).astype(np.int64)


def _distinct(points: Integers, which: Integers) -> NDArray[np.bool_]:
    """Where a point differs from the one before it in the same part."""
    kept = np.ones(len(points), bool)
    kept[1:] = (points[1:] != points[:-1]).any(axis=1) | (which[1:] != which[:-1])
    return kept


def _deltas(points: Integers, starts: Integers) -> Integers:
    """Steps from the point before; from the origin at the start of each feature."""
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
    steps[starts] = points[starts]
    return steps


def _zigzag(values: Integers) -> Integers:
    return (values << 1) ^ (values >> 63)
