"""Vector tiles beside those of mapbox-vector-tile: the same features, attributes and geometry to within a unit."""

import os
from pathlib import Path

import geopandas
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from clips import check_geometry, clipped, placed, projected, vanishes
from commands import features
from mapbox_vector_tile.encoder import on_invalid_geometry_make_valid

from tileserver.encode import mvt
from tileserver.tiles import Tile

HERE = Tile(9, 261, 170)
DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
FILES = [
    "ne_10m_bathymetry_K_200",
    "ne_10m_coastline",
    "ne_10m_glaciated_areas",
    "ne_10m_lakes",
    "ne_10m_land",
    "ne_10m_populated_places",
    "ne_10m_rivers_lake_centerlines",
    "ne_10m_time_zones",
    "ne_50m_admin_0_countries",
]
COUNT = 12_000


def stars(random, count):
    """Areas with 3 to 12 corners around a middle, some with a hole, some of two parts."""
    found = []
    for x, y in random.uniform(-150, 4246, (count, 2)):
        corners = random.integers(3, 13)
        turns = np.sort(random.uniform(0, 2 * np.pi, corners))
        reach = random.uniform(0.3, 1, corners) * random.lognormal(2, 1)
        ring = np.column_stack([x + reach * np.cos(turns), y + reach * np.sin(turns)])
        shape = shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)
        if random.random() < 0.2:
            shape = shape.difference(shapely.Point(x, y).buffer(reach.min() / 2, quad_segs=2))
        if random.random() < 0.2:
            shape = shape.union(shapely.affinity.translate(shape, 3 * reach.max(), 0))
        found.append(shape)
    return found


def walks(random, count):
    """Lines of 2 to 40 steps, some of two parts."""
    found = []
    for start in random.uniform(-150, 4246, (count, 2)):
        parts = [start + np.cumsum(random.normal(0, random.lognormal(1, 1), (random.integers(2, 41), 2)), axis=0)]
        if random.random() < 0.2:
            parts.append(parts[0] + 50)
        found.append(shapely.MultiLineString(parts))
    return found


def crowds(random, count):
    """One to five points."""
    return [shapely.MultiPoint(random.uniform(-150, 4246, (random.integers(1, 6), 2))) for _ in range(count)]


def framed(shapes):
    """Shapes in units of the tile as a frame in metres with attributes."""
    geometry = placed(shapes, HERE)
    numbers = np.arange(len(geometry))
    columns = {
        "n": numbers - 100,
        "share": numbers / 7,
        "name": [f"number {each % 50}" for each in numbers],
        "even": numbers % 2 == 0,
    }
    return geopandas.GeoDataFrame(columns, geometry=geometry, crs=3857)


@pytest.mark.slow
@pytest.mark.parametrize("make", [stars, walks, crowds])
def test_generated_features_are_the_references(make):
    """Tens of thousands of shapes."""
    frame = framed(make(np.random.default_rng(1), COUNT))
    cut = clipped(projected(frame), HERE)
    rows = frame.drop(columns="geometry").to_dict("records")
    given = [{"geometry": shape, "properties": rows[row], "id": row} for row, shape in cut.items()]
    options = {"y_coord_down": True, "on_invalid_geometry": on_invalid_geometry_make_valid}
    reference = mapbox_vector_tile.encode({"name": "udf", "features": given}, default_options=options)
    theirs = {each.id: each for each in features(reference, "udf")}
    ours = {each.id: each for each in features(mvt.encode(frame, HERE), "udf")}
    assert all(vanishes(cut[row]) for row in theirs.keys() - ours.keys())
    assert len(ours.keys() - theirs.keys()) < len(ours) / 1000
    both = sorted(ours.keys() & theirs.keys())
    assert all(ours[row].properties == theirs[row].properties for row in both)
    apart = np.array([shapely.hausdorff_distance(ours[row].shape, theirs[row].shape) for row in both])
    assert (apart > 1.6).mean() < 0.01  # both round, each by up to a quantum, and either may round a tip away
    if make is not crowds:
        for row in both:
            check_geometry(ours[row], cut[row])


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a million corners, clipped and unpacked the slow way for sixty tiles
@pytest.mark.parametrize("name", FILES)
def test_real_files_at_every_zoom(name):
    """Each feature lies where PROJ and shapely put it, and none that can be seen is missing."""
    if not (DATA / f"{name}.parquet").exists():
        pytest.skip(f"no test data {name}.parquet; set TILESERVER_TEST_DATA")
    frame = geopandas.read_parquet(DATA / f"{name}.parquet").reset_index(drop=True)
    metres, corners = projected(frame), shapely.get_coordinates(frame.geometry.to_numpy())
    for zoom in range(15):
        for longitude, latitude in np.random.default_rng(zoom).choice(corners, 4):
            tile = Tile.at(longitude, latitude, zoom)
            expected = clipped(metres, tile)
            found = {each.id: each for each in features(mvt.encode(frame, tile), "udf")}
            assert found.keys() <= expected.keys()
            for row, feature in found.items():
                check_geometry(feature, expected[row])
            assert all(vanishes(expected[row]) for row in expected.keys() - found.keys()), tile
