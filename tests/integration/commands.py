"""Vector tiles read by the specification's letter, so that what a friendly decoder mends is seen as well.

https://github.com/mapbox/vector-tile-spec/tree/master/2.1
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from mapbox_vector_tile.Mapbox import vector_tile_pb2
from numpy.typing import NDArray

Path = NDArray[np.int64]


@dataclass
class Feature:
    """A feature as the bytes have it."""

    id: int | None
    kind: int
    """1 point, 2 line, 3 polygon."""
    properties: dict[str, Any]
    paths: list[Path] = field(default_factory=list)
    """(points, 2), x to the east and y to the south in units of the tile; rings without their closing point."""

    @property
    def shape(self) -> shapely.Geometry:
        """The geometry; a ring of positive area begins a polygon, one of negative area is a hole in it."""
        if self.kind == 1:
            return shapely.MultiPoint(np.concatenate(self.paths))
        if self.kind == 2:
            return shapely.MultiLineString(self.paths)
        polygons: list[list[Path]] = []
        for ring in self.paths:
            if area(ring) > 0:
                polygons.append([ring])
            else:
                polygons[-1].append(ring)
        return shapely.MultiPolygon([(rings[0], rings[1:]) for rings in polygons])


def features(body: bytes, layer: str) -> list[Feature]:
    """The features of a tile that has one layer, version 2, of 4096 units; none of an empty body."""
    tile = vector_tile_pb2.tile()
    tile.ParseFromString(body)
    if not body:
        return []
    [only] = tile.layers
    assert (only.name, only.version, only.extent) == (layer, 2, 4096)
    assert len(set(only.keys)) == len(only.keys)
    return [_feature(each, only) for each in only.features]


def area(ring: Path) -> float:
    """The surveyor's formula, in tile units; positive for exterior rings."""
    x, y = np.vstack([ring, ring[:1]]).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def _feature(raw: Any, layer: Any) -> Feature:
    pairs = zip(raw.tags[::2], raw.tags[1::2], strict=True)
    properties = {layer.keys[key]: _value(layer.values[value]) for key, value in pairs}
    found = Feature(raw.id if raw.HasField("id") else None, raw.type, properties)
    found.paths = list(_paths(list(raw.geometry), raw.type))
    return found


def _value(raw: Any) -> Any:
    [(_, value)] = raw.ListFields()
    return value


def _paths(words: list[int], kind: int) -> Iterator[Path]:
    """Follows the commands, and insists on what section 4.3.4 demands of each type."""
    at, cursor = 0, np.zeros(2, np.int64)
    while at < len(words):
        move, count = words[at] & 7, words[at] >> 3
        assert move == 1
        assert count >= 1
        assert count == 1 or kind == 1
        assert kind != 1 or at == 0
        points = _steps(words, at + 1, count, cursor)
        at += 1 + 2 * count
        if kind > 1:
            assert words[at] & 7 == 2
            count = words[at] >> 3
            assert count >= kind - 1
            points = np.concatenate([points, _steps(words, at + 1, count, points[-1])])
            assert (np.diff(points, axis=0) != 0).any(axis=1).all(), "a step of no length"
            at += 1 + 2 * count
        if kind == 3:
            assert words[at] == 15
            at += 1
        cursor = points[-1]
        yield points


def _steps(words: list[int], at: int, count: int, cursor: Path) -> Path:
    zigzag = np.array(words[at : at + 2 * count], np.int64).reshape(-1, 2)
    assert len(zigzag) == count
    steps: Path = (zigzag >> 1) ^ -(zigzag & 1)
    return cursor + np.cumsum(steps, axis=0)
