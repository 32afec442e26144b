"""Claim: vector tiles at least 20 times faster than mapbox-vector-tile's, and in about PostGIS' time.

Synthetic buildings, points and lines, 1,000, 10,000 and 50,000 on one tile with some over its edge, with four
attributes. All three get the same: ours a frame in EPSG:3857, PostGIS an indexed table in EPSG:3857
(ST_AsMVT of ST_AsMVTGeom, which repairs validity as ours does, on one core), mapbox-vector-tile the same geometries in
metres, clipped by shapely before the clock runs. They take turns, round by round; printed are medians and their ratios,
the bytes, and the peak of memory that encoding adds.

    python benchmarks/encode_mvt.py [ROUNDS]
"""

import gc
import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import geopandas
import mapbox_vector_tile
import numpy as np
import shapely
from numpy.typing import NDArray
from postgis import load, postgis

from tileserver.encode import mvt
from tileserver.tiles import Tile

TILE = Tile(12, 2200, 1343)
SIZES = (1_000, 10_000, 50_000)
ALL_OF_THEM = 10_000
"""Features up to which mapbox-vector-tile takes part in every round; beyond it, in one."""
KINDS = {"name": "text", "use": "text", "height": "float8", "levels": "integer"}
QUERY = """
SELECT ST_AsMVT(each, 'udf', 4096, 'geom', 'id') FROM (
    SELECT id, name, use, height, levels,
           ST_AsMVTGeom(geom, ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64, true) AS geom
    FROM {table} WHERE geom && ST_TileEnvelope(%(z)s, %(x)s, %(y)s, margin => 64.0 / 4096)
) AS each WHERE geom IS NOT NULL
"""


def main(rounds: int) -> None:
    """Every kind and size, then the geometric means."""
    gc.freeze()  # as in a worker, whose libraries were there before it
    ratios: dict[str, list[float]] = {}
    with postgis() as connection:
        for kind, shapes in (("polygons", buildings), ("points", points), ("lines", lines)):
            for size in SIZES:
                frame = framed(shapes(size))
                table = f"{kind}_{size}"
                load(connection, table, frame, KINDS)
                query = QUERY.format(table=table)
                ratios.setdefault(kind, []).append(compare(kind, frame, lambda q=query: asked(connection, q), rounds))
    for kind, found in ratios.items():
        print(f"{kind:8} against PostGIS, geometric mean: {math.prod(found) ** (1 / len(found)):.2f}")


def compare(kind: str, frame: geopandas.GeoDataFrame, postgis_tile: Callable[[], bytes], rounds: int) -> float:
    """Print one line; the ratio of our time to PostGIS'."""
    features = plain(frame)
    often = len(frame) <= ALL_OF_THEM
    times: dict[str, list[float]] = {"ours": [], "postgis": [], "mapbox": []}
    ours, theirs = mvt.encode(frame, TILE), postgis_tile()
    for turn in range(rounds):
        times["ours"].append(timed(lambda: mvt.encode(frame, TILE)))
        times["postgis"].append(timed(postgis_tile))
        if often or not turn:
            times["mapbox"].append(timed(lambda: reference(features)))
    middle = {name: statistics.median(own) for name, own in times.items()}
    ratio = middle["ours"] / middle["postgis"]
    print(
        f"{kind:8} {len(frame):6,}  ours {middle['ours']:7.1f} ms  PostGIS {middle['postgis']:7.1f}  ratio {ratio:.2f}"
        f"  mapbox {middle['mapbox'] / middle['ours']:5.1f} times ours  bytes {len(ours) / len(theirs):.3f} of PostGIS'"
        f"  features {count(ours):,} and {count(theirs):,}  peak {peak(frame):.0f} MB",
        flush=True,
    )
    return ratio


def asked(connection: Any, query: str) -> bytes:
    """PostGIS' tile."""
    cursor = connection.cursor(binary=True)
    (body,) = cursor.execute(query, {"z": TILE.z, "x": TILE.x, "y": TILE.y}).fetchone()
    return bytes(body)


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def peak(frame: geopandas.GeoDataFrame) -> float:
    """Megabytes that encoding takes at most, as Python and NumPy count them."""
    tracemalloc.start()
    mvt.encode(frame, TILE)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def count(body: bytes) -> int:
    """Features of a tile."""
    return len(mapbox_vector_tile.decode(body)["udf"]["features"])


def plain(frame: geopandas.GeoDataFrame) -> list[dict[str, Any]]:
    """What mapbox-vector-tile takes: clipped, in metres, which it quantises itself as ours does."""
    west, south, east, north = TILE.bounds_3857
    margin = (east - west) * 64 / 4096
    cut = shapely.clip_by_rect(frame.geometry.to_numpy(), west - margin, south - margin, east + margin, north + margin)
    rows = frame.drop(columns="geometry").to_dict("records")
    return [
        {"geometry": shape, "properties": row, "id": at}
        for at, (shape, row) in enumerate(zip(cut, rows, strict=True))
        if not shape.is_empty
    ]


def reference(features: list[dict[str, Any]]) -> bytes:
    """mapbox-vector-tile's tile."""
    options = {"quantize_bounds": tuple(TILE.bounds_3857), "extents": 4096}
    return bytes(mapbox_vector_tile.encode({"name": "udf", "features": features}, default_options=options))


def framed(units: NDArray[Any]) -> geopandas.GeoDataFrame:
    """Geometries in units of the tile, in metres and with attributes."""
    random = np.random.default_rng(len(units))
    west, _, east, north = TILE.bounds_3857
    step = (east - west) / 4096
    shapes = shapely.transform(units, lambda xy: xy * (step, -step) + (west, north))
    columns = {
        "name": [f"number {at}" for at in range(len(units))],
        "use": random.choice(["house", "garage", "shed", "school"], len(units)),
        "height": random.uniform(2, 60, len(units)).round(1),
        "levels": random.integers(1, 12, len(units)),
    }
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=3857)


def buildings(size: int) -> NDArray[Any]:
    """Turned rectangles and L shapes, some with a court."""
    random = np.random.default_rng(1)
    outline = np.array([(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)])
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    court = np.array([(0.3, 0.3), (0.3, 0.6), (0.6, 0.6), (0.6, 0.3)])
    found = []
    for x, y in random.uniform(-100, 4196, (size, 2)):
        turn, side = random.uniform(0, math.pi), random.uniform(6, 40)
        spin = side * np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
        shell = outline if random.random() < 0.5 else square
        holes = [court @ spin.T + (x, y)] if shell is square and random.random() < 0.1 else None
        found.append(shapely.Polygon(shell @ spin.T + (x, y), holes))
    return np.array(found)


def points(size: int) -> NDArray[Any]:
    """Anywhere."""
    return np.asarray(shapely.points(np.random.default_rng(2).uniform(-100, 4196, (size, 2))))


def lines(size: int) -> NDArray[Any]:
    """Walks of up to thirty steps."""
    random = np.random.default_rng(3)
    starts = random.uniform(-100, 4196, (size, 2))
    walks = [start + np.cumsum(random.normal(0, 12, (random.integers(2, 30), 2)), axis=0) for start in starts]
    return np.array([shapely.LineString(walk) for walk in walks])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
