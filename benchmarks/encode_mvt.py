"""Claim: vector tiles at least 20 times faster than mapbox-vector-tile's, and in less than PostGIS' time.

Synthetic buildings, points and lines, 1,000, 10,000 and 50,000 on one tile with some over its edge, with four
attributes; and the files of the test data, each on the tiles that have most of their corners. Ours gets a frame in
EPSG:3857, and PostGIS an indexed table in EPSG:3857 (ST_AsMVT of ST_AsMVTGeom, which repairs validity as ours does, on
one core). mapbox-vector-tile gets the geometries in metres, clipped by shapely before the clock runs, and ours the same
once more; it makes areas valid, too, as it can (`on_invalid_geometry_make_valid`). They take turns, round by round, and
what takes over a second does once. Printed are medians and their ratios, the bytes, and the peak of memory that
encoding adds.

    python benchmarks/encode_mvt.py [ROUNDS]
"""

import gc
import math
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import geopandas
import mapbox_vector_tile
import mercantile
import numpy as np
import shapely
from mapbox_vector_tile.encoder import on_invalid_geometry_make_valid
from numpy.typing import NDArray
from postgis import load, postgis

from tileserver.encode import mvt
from tileserver.tiles import Tile

DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
TILE = Tile(12, 2200, 1343)
SIZES = (1_000, 10_000, 50_000)
ZOOMS = (0, 4, 8)
OFTEN = 1000
"""Milliseconds up to which mapbox-vector-tile takes its turn in every round."""
QUERY = """
SELECT ST_AsMVT(each, 'udf', 4096, 'geom', 'id') FROM (
    SELECT id, {columns}, ST_AsMVTGeom(geom, ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64, true) AS geom
    FROM {table} WHERE geom && ST_TileEnvelope(%(z)s, %(x)s, %(y)s, margin => 64.0 / 4096)
) AS each WHERE geom IS NOT NULL
"""
SQL = {"i": "bigint", "f": "float8"}


class Case(NamedTuple):
    """What is encoded."""

    group: str
    name: str
    frame: geopandas.GeoDataFrame
    tile: Tile


class Found(NamedTuple):
    """Of a case our time in PostGIS', and mapbox-vector-tile's in ours."""

    postgis: float
    mapbox: float


def main(rounds: int) -> None:
    """Every case, then the geometric means of each group, and of each kind's sizes with the files whole."""
    gc.freeze()  # as in a worker, whose libraries were there before it
    found: dict[str, list[Found]] = {}
    with postgis() as connection:
        for number, case in enumerate((*synthetic(), *real())):
            names = [name for name in case.frame.columns if name != "geometry"]
            kinds = {name: SQL.get(case.frame[name].dtype.kind, "text") for name in names}
            load(connection, f"table_{number}", case.frame, kinds)
            query = QUERY.format(table=f"table_{number}", columns=", ".join(f'"{name}"' for name in names))
            ours = compare(case, lambda query=query, case=case: asked(connection, query, case.tile), rounds)
            found.setdefault(case.group, []).append(ours)
    for group, each in found.items():
        print_means(group, each)
    for kind in ("polygons", "points", "lines"):
        print_means(f"{kind}, sizes and whole files", found[kind] + found[f"real {kind} 0"])


def print_means(group: str, each: list[Found]) -> None:
    """The geometric means of some ratios."""
    one, other = (math.prod(own) ** (1 / len(own)) for own in zip(*each, strict=True))
    print(f"{group:16} geometric means: {one:.2f} of PostGIS' time; mapbox-vector-tile {other:.1f} times ours")


def synthetic() -> Iterator[Case]:
    """Kind by kind, size by size."""
    for group, shapes in (("polygons", buildings), ("points", points), ("lines", lines)):
        for size in SIZES:
            yield Case(group, f"{size:,}", framed(shapes(size)), TILE)


def real() -> Iterator[Case]:
    """Files of the test data, on the tiles that have most of their corners."""
    for file in sorted(DATA.glob("*.parquet")):
        frame = geopandas.read_parquet(file)
        frame = frame[frame.geometry.notna()].reset_index(drop=True)
        frame.geometry = frame.geometry.make_valid().clip_by_rect(-180, -85.06, 180, 85.06)
        scalars = [name for name in frame.columns if name != "geometry" and frame[name].dtype.kind in "ifOU"][:4]
        group = ("points", "lines", "polygons")[int(shapely.get_dimensions(frame.geometry.to_numpy()).max())]
        for zoom in ZOOMS:
            tile = busiest(frame, zoom)
            yield Case(f"real {group} {zoom}", f"{file.stem} {zoom}", frame[[*scalars, "geometry"]].to_crs(3857), tile)


def busiest(frame: geopandas.GeoDataFrame, zoom: int) -> Tile:
    """The tile with most corners."""
    corners = shapely.get_coordinates(frame.geometry.to_numpy())
    found = np.array([mercantile.tile(*each, zoom)[:2] for each in corners[:: max(1, len(corners) // 20_000)]])
    columns, counts = np.unique(found, axis=0, return_counts=True)
    x, y = columns[counts.argmax()]
    return Tile(zoom, int(x), int(y))


def compare(case: Case, postgis_tile: Callable[[], bytes], rounds: int) -> Found:
    """Print one line."""
    cut = clipped(case)
    features = plain(cut)
    times: dict[str, list[float]] = {"ours": [], "postgis": [], "clipped": [], "mapbox": []}
    ours, theirs = mvt.encode(case.frame, case.tile), postgis_tile()
    for turn in range(rounds):
        times["ours"].append(timed(lambda: mvt.encode(case.frame, case.tile)))
        times["postgis"].append(timed(postgis_tile))
        times["clipped"].append(timed(lambda: mvt.encode(cut, case.tile)))
        if not turn or times["mapbox"][0] < OFTEN:
            times["mapbox"].append(timed(lambda: reference(features, case.tile)))
    middle = {name: statistics.median(own) for name, own in times.items()}
    found = Found(middle["ours"] / middle["postgis"], middle["mapbox"] / middle["clipped"])
    print(
        f"{case.group:15} {case.name:32} ours {middle['ours']:5.1f} ms  PostGIS {middle['postgis']:6.1f}:"
        f" {found.postgis:.2f}  clipped {middle['clipped']:5.1f}, mapbox {middle['mapbox']:6.1f}: {found.mapbox:4.1f}"
        f" times ours  bytes {len(ours) / len(theirs):.3f}  features {count(ours):,} and {count(theirs):,}"
        f"  peak {peak(case):.0f} MB",
        flush=True,
    )
    return found


def asked(connection: Any, query: str, tile: Tile) -> bytes:
    """PostGIS' tile."""
    cursor = connection.cursor(binary=True)
    (body,) = cursor.execute(query, {"z": tile.z, "x": tile.x, "y": tile.y}).fetchone()
    return bytes(body)


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def peak(case: Case) -> float:
    """Megabytes that encoding takes at most, as Python and NumPy count them."""
    tracemalloc.start()
    mvt.encode(case.frame, case.tile)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def count(body: bytes) -> int:
    """Features of a tile."""
    return len(mapbox_vector_tile.decode(body)["udf"]["features"])


def clipped(case: Case) -> geopandas.GeoDataFrame:
    """What of the frame lies on the tile and its buffer."""
    west, south, east, north = case.tile.bounds_3857
    margin = (east - west) * 64 / 4096
    cut = case.frame.geometry.clip_by_rect(west - margin, south - margin, east + margin, north + margin)
    return case.frame.set_geometry(cut)[~cut.is_empty].reset_index(drop=True)


def plain(frame: geopandas.GeoDataFrame) -> list[dict[str, Any]]:
    """What mapbox-vector-tile takes: geometry in metres, which it quantises itself."""
    rows = frame.drop(columns="geometry").to_dict("records")
    each = enumerate(zip(frame.geometry, rows, strict=True))
    return [{"geometry": shape, "properties": row, "id": at} for at, (shape, row) in each]


def reference(features: list[dict[str, Any]], tile: Tile) -> bytes:
    """mapbox-vector-tile's tile."""
    options = {
        "quantize_bounds": tuple(tile.bounds_3857),
        "extents": 4096,
        "on_invalid_geometry": on_invalid_geometry_make_valid,
    }
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
