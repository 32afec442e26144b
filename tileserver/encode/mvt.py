"""Mapbox Vector Tiles 2.1, vectorised: geometry by shapely, everything else by NumPy, no loop over features.

A layer is one array of numbers, feature after feature, that becomes bytes at once.
The specification: https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import attributes, clip, quantise, ragged
from tileserver.encode.paths import Paths
from tileserver.encode.protobuf import Numbers, key, message, number, sizes, varints, zigzag
from tileserver.encode.quantise import Shapes
from tileserver.tiles import Tile

Integers = NDArray[np.int64]

_POINT, _LINE, _POLYGON = 1, 2, 3
_MOVE_TO, _LINE_TO, _CLOSE_PATH = 1, 2, 7
_ID, _TAGS, _TYPE, _GEOMETRY = key(1), key(2, lengthy=True), key(3), key(4, lengthy=True)
_FEATURE: Final = key(2, lengthy=True)


class Ragged(NamedTuple):
    """Numbers of features."""

    flat: NDArray[Any]
    lengths: Integers
    """How many each feature has."""


class Features(NamedTuple):
    """Commands of features of one type."""

    kind: int
    rows: Integers
    """Of the frame, ascending."""
    commands: Ragged


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
    dropped, polygons stay valid, exterior rings have positive area as the specification asks. Nothing is farther than a
    unit from where it belongs. A feature with geometry of several types becomes one feature per type. Missing
    attributes are left out; datetimes are ISO 8601 text.

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
    shapes = quantise.shapes(clip.on_tile(frame, tile, extent, buffer))
    return write(frame, shapes, layer=layer, extent=extent, id_column=id_column)


def write(frame: Any, shapes: Shapes, *, layer: str, extent: int, id_column: str | None) -> bytes:
    """The tile of what a frame's features look like on it; raises like `encode`."""
    streams = [_points(shapes.points, shapes.point_rows), _paths(_LINE, shapes.lines), _paths(_POLYGON, shapes.rings)]
    kinds, rows, commands = _in_order([each for each in streams if len(each.rows)])
    if not len(rows):
        return b""
    table = attributes.table(frame, rows)
    ids = attributes.identities(frame, id_column, rows)
    features = _features(ids, Ragged(table.tags, table.lengths), kinds, commands)
    head = number(15, 2) + message(1, layer.encode())
    parts = [head, features, *(message(3, name) for name in table.keys), table.values, number(5, extent)]
    return message(3, b"".join(parts))


def _points(points: Integers, rows: Integers) -> Features:
    own, counts = _runs(rows)
    heads = (counts << 3 | _MOVE_TO).astype(np.uint64)
    steps = zigzag(_steps(points, ragged.starts(counts))).ravel()
    return Features(_POINT, own, Ragged(*ragged.interleaved([(heads, np.ones_like(counts)), (steps, 2 * counts)])))


def _paths(kind: int, these: Paths) -> Features:
    """Of lines or rings. Those of one feature follow each other and share a cursor."""
    rows, counts = _runs(these.rows)
    begins = ragged.starts(these.lengths)
    steps = zigzag(_steps(these.points, begins[ragged.starts(counts)])).ravel()
    one = np.ones_like(these.lengths)
    moves = np.full(len(one), 1 << 3 | _MOVE_TO, np.uint64)
    draws = ((these.lengths - 1) << 3 | _LINE_TO).astype(np.uint64)
    first = np.zeros(len(steps), bool)
    first[2 * begins] = first[2 * begins + 1] = True
    pieces = [(moves, one), (steps[first], 2 * one), (draws, one), (steps[~first], 2 * (these.lengths - 1))]
    if kind == _POLYGON:
        pieces.append((np.full(len(one), 1 << 3 | _CLOSE_PATH, np.uint64), one))
    flat, lengths = ragged.interleaved(pieces)
    return Features(kind, rows, Ragged(flat, ragged.sums(lengths, counts)))


def _runs(rows: Integers) -> tuple[Integers, Integers]:
    """Ascending numbers once each, and how often each was there."""
    new = np.ones(len(rows), bool)
    new[1:] = rows[1:] != rows[:-1]
    begins = np.flatnonzero(new)
    return rows[begins], np.diff(begins, append=len(rows))


def _steps(points: Integers, begins: Integers) -> Integers:
    """From the point before; from the origin at the start of each feature."""
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
    steps[begins] = points[begins]
    return steps


def _in_order(streams: list[Features]) -> tuple[Integers, Integers, Ragged]:
    """Of all features the type, the row and the commands, by rows."""
    if not streams:
        return np.empty(0, np.int64), np.empty(0, np.int64), Ragged(np.empty(0), np.empty(0, np.int64))
    kinds = np.concatenate([np.full(len(each.rows), each.kind) for each in streams])
    if len(streams) == 1:
        return kinds, streams[0].rows, streams[0].commands
    rows = np.concatenate([each.rows for each in streams])
    flat, lengths = (np.concatenate(own) for own in zip(*(each.commands for each in streams), strict=True))
    order = np.argsort(rows, kind="stable")
    return kinds[order], rows[order], Ragged(ragged.chosen(flat, lengths, order), lengths[order])


def _features(ids: tuple[Numbers, NDArray[np.bool_]], tags: Ragged, kinds: Integers, commands: Ragged) -> bytes:
    """The layer's features, one behind the other."""
    numbers, has_id = ids
    one, has_tags = np.ones_like(kinds), tags.lengths > 0
    tag_bytes = ragged.sums(sizes(tags.flat), tags.lengths)
    command_bytes = ragged.sums(sizes(commands.flat), commands.lengths)
    fields = [
        _field(_ID, numbers, has_id),
        _field(_TAGS, tag_bytes, has_tags),
        (tags.flat, tags.lengths),
        _field(_TYPE, kinds, one > 0),
        _field(_GEOMETRY, command_bytes, one > 0),
        (commands.flat, commands.lengths),
    ]
    body = sum((ragged.sums(sizes(flat), lengths) for flat, lengths in fields), np.zeros_like(kinds))
    flat, _ = ragged.interleaved([_field(_FEATURE, body, one > 0), *fields])
    return varints(flat).tobytes()


def _field(tag: int, values: NDArray[Any], there: NDArray[np.bool_]) -> tuple[Numbers, Integers]:
    """A field's key and its number, of the features that have it."""
    flat = np.empty((int(there.sum()), 2), np.uint64)
    flat[:, 0], flat[:, 1] = tag, values[there]
    return flat.ravel(), 2 * there.astype(np.int64)
