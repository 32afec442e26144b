"""Mapbox Vector Tiles 2.1, vectorised: geometry by shapely, everything else by NumPy, no loop over features.

A layer is one array of numbers, feature after feature, that becomes bytes at once.
The specification: https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import attributes, clip, quantise, ragged
from tileserver.encode.paths import Paths
from tileserver.encode.protobuf import Numbers, key, message, number, varints, zigzag
from tileserver.encode.quantise import Shapes
from tileserver.encode.ragged import Ragged
from tileserver.tiles import Tile

Integers = NDArray[np.int64]

_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 7
_ID, _TAGS, _TYPE, _GEOMETRY = key(1), key(2, lengthy=True), key(3), key(4, lengthy=True)
_FEATURE: Final = key(2, lengthy=True)


class Features(NamedTuple):
    """Commands of features of one type."""

    kind: int
    rows: Integers
    """Of the frame, ascending."""
    commands: Ragged
    """Bytes."""


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

    Geometry is projected to EPSG:3857, clipped to the tile plus `buffer`, simplified by a fifth of a unit where it is
    long, and rounded to whole units; what collapses is dropped, polygons stay valid, exterior rings have positive area
    as the specification asks. Nothing is farther than a unit from where it belongs. A feature with geometry of several
    types becomes one feature per type. Missing attributes are left out; datetimes are ISO 8601 text.

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
    shapes = quantise.shapes(clip.on_tile(clip.Some(frame), tile, extent, buffer))
    return write(frame, shapes, layer=layer, extent=extent, id_column=id_column)


def write(frame: Any, shapes: Shapes, *, layer: str, extent: int, id_column: str | None) -> bytes:
    """The tile of what a frame's features look like on it; raises like `encode`."""
    streams = []
    if len(shapes.point_rows):
        streams.append(_points(shapes.points, shapes.point_rows))
    for kind, each in ((_LINE, shapes.lines), (_POLYGON, shapes.rings)):
        if len(each.rows):
            streams.append(_paths(kind, each))
    if not streams:
        return b""
    kinds, rows, commands = _in_order(streams)
    table = attributes.table(frame, rows)
    features = _features(attributes.identities(frame, id_column, rows), table.tags, kinds, commands)
    head = number(15, 2) + message(1, layer.encode())
    parts = [head, features, *(message(3, name) for name in table.keys), table.values, number(5, extent)]
    return message(3, b"".join(parts))


def _points(points: Integers, rows: Integers) -> Features:
    own, counts = _runs(rows)
    heads = (counts << 3 | _MOVE_TO).astype(np.uint32)
    steps = zigzag(_steps(points, ragged.starts(counts))).ravel()
    commands = ragged.interleaved([Ragged(heads, np.ones_like(counts)), Ragged(steps, 2 * counts)])
    return Features(_POINT, own, varints(commands))


def _paths(kind: int, these: Paths) -> Features:
    """Of lines or rings. Those of one feature follow each other and share a cursor."""
    rows, counts = _runs(these.rows)
    begins = ragged.starts(these.lengths)
    steps = zigzag(_steps(these.points, begins[ragged.starts(counts)]))
    later = np.ones(len(steps), bool)
    later[begins] = False
    heads = np.empty((len(these.rows), 4), np.uint32)
    heads[:, 0], heads[:, 1:3], heads[:, 3] = 1 << 3 | _MOVE_TO, steps[begins], (these.lengths - 1) << 3 | _LINE_TO
    pieces = [ragged.even(heads), Ragged(steps.compress(later, axis=0).ravel(), 2 * (these.lengths - 1))]
    if kind == _POLYGON:
        pieces.append(ragged.even(np.full((len(these.rows), 1), 1 << 3 | _CLOSE_PATH, np.uint32)))
    flat, lengths = ragged.interleaved(pieces)
    return Features(kind, rows, varints(Ragged(flat, ragged.sums(lengths, counts))))


def _runs(rows: Integers) -> tuple[Integers, Integers]:
    """Ascending numbers once each, and how often each was there."""
    new = np.ones(len(rows), bool)
    new[1:] = rows[1:] != rows[:-1]
    begins = np.flatnonzero(new)
    return rows[begins], np.diff(begins, append=len(rows))


def _steps(points: Integers, begins: Integers) -> Integers:
    """From the point before; from the origin at the start of each feature."""
    steps = np.empty_like(points)
    np.subtract(points[1:], points[:-1], out=steps[1:])
    steps[begins] = points[begins]
    return steps


def _in_order(streams: list[Features]) -> tuple[Integers, Integers, Ragged]:
    """Of all features the type, the row and the commands, by rows."""
    kinds = np.concatenate([np.full(len(each.rows), each.kind) for each in streams])
    if len(streams) == 1:
        return kinds, streams[0].rows, streams[0].commands
    rows = np.concatenate([each.rows for each in streams])
    flat, lengths = (np.concatenate(own) for own in zip(*(each.commands for each in streams), strict=True))
    order = np.argsort(rows, kind="stable")
    return kinds[order], rows[order], Ragged(ragged.chosen(flat, lengths, order), lengths[order])


def _features(ids: tuple[Numbers, NDArray[np.bool_]], tags: Ragged, kinds: Integers, commands: Ragged) -> bytes:
    """The layer's features, one behind the other.

    Args:
        ids: The id of each, and whether it has one.
        tags: Bytes of each, as are the commands.
    """
    numbers, has_id = ids
    before = _numbers(_ID, numbers, _TAGS, tags.lengths)
    there = np.repeat(np.column_stack([has_id, tags.lengths > 0]), 2, axis=1)
    front = varints(Ragged(before[there], there.sum(axis=1)))
    middle = varints(ragged.even(_numbers(_TYPE, kinds, _GEOMETRY, commands.lengths)))
    pieces = [front, tags, middle, commands]
    length = ragged.joint_lengths(pieces).astype(np.uint64)
    head = varints(ragged.even(np.column_stack([np.full_like(length, _FEATURE), length])))
    return ragged.interleaved([head, *pieces]).flat.tobytes()


def _numbers(one: int, ones: NDArray[Any], other: int, others: NDArray[Any]) -> Numbers:
    """Two fields of each feature, (features, 4): their keys and numbers."""
    found = np.empty((len(ones), 4), np.uint64)
    found[:, 0], found[:, 1], found[:, 2], found[:, 3] = one, ones, other, others
    return found
