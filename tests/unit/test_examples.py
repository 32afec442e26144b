"""The examples, called directly as a worker would call them."""

import io
import os
import sys
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

from tileserver.signature import parse
from tileserver.tiles import Tile
from tileserver.udfs import bind

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or ROOT.parent / "shared" / "data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of test data is missing")

# rasterio 1.4 multiplies affine 3 matrices with `*`, in every read that reprojects.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def load(name: str) -> ModuleType:
    """A fresh module of an example."""
    spec = spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_network():
    """Ends whatever connects or looks a name up while the test runs (an audit hook cannot be taken off, only idled)."""
    active = [True]

    def refuse(event: str, _: tuple[object, ...]) -> None:
        if active[0] and event in {"socket.connect", "socket.getaddrinfo"}:
            raise AssertionError(event)

    sys.addaudithook(refuse)
    yield
    active[0] = False


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_parses(path):
    """Each file holds one documented UDF of known kind, named like the file, with nothing left to compute."""
    found = parse(path.read_text(), file=path.name)
    assert (found.name, found.entry) == (path.stem, path.stem)
    assert found.kind and found.doc and not found.computed and not found.warnings
    assert all(not each.computed for each in found.parameters)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs_alone(path, no_network, monkeypatch):
    """Each gives something with no network, no data and no settings, at 256 and at 512 pixels."""
    monkeypatch.delenv("RASTER_PATH", raising=False)
    monkeypatch.delenv("VECTOR_PATH", raising=False)
    entry = getattr(load(path.stem), path.stem)
    if path.stem == "cities_table":
        assert len(entry()) > 10
        return
    for tile in (Tile(0, 0, 0), Tile(2, 1, 1, size=512)):
        result = entry(tile)
        if isinstance(result, gpd.GeoDataFrame):
            assert len(result) > 5
        else:
            assert tile.size in np.asarray(getattr(result, "array", result)).shape


def test_relief_continues_over_tile_edges():
    """A tile's margin holds the very heights of its neighbours, over the 180th meridian too."""
    relief = load("relief")
    for z, x, y in ((0, 0, 0), (3, 7, 4), (14, 9000, 5000), (20, 2**20 - 1, 2**19)):
        here = relief.elevation(Tile(z, x, y), margin=1)
        east = relief.elevation(Tile(z, (x + 1) % 2**z, y))
        assert np.abs(here[1:-1, -1] - east[:, 0]).max() < 1e-9
        if y + 1 < 2**z:
            assert np.abs(here[-1, 1:-1] - relief.elevation(Tile(z, x, y + 1))[0]).max() < 1e-9


def test_relief_light_follows_azimuth():
    """A slope that falls to the west is lit by a western sun and shaded from an eastern one; no height, no shade."""
    relief = load("relief")
    slope = np.tile(np.arange(8.0), (8, 1))
    assert relief.hillshade(slope, 1, 270).min() > 1 > relief.hillshade(slope, 1, 90).max()
    assert np.allclose(relief.hillshade(slope, 0, 315), 1)


def test_mandelbrot_agrees_with_one_point_at_a_time():
    """What the grid calls inside stays bounded, and the times are those of the plain iteration far outwards."""
    mandelbrot = load("mandelbrot")
    c = mandelbrot.points(Tile(3, 2, 3, size=16))
    times = mandelbrot.escape_times(c, 100)
    for at, time in np.ndenumerate(times):
        z, steps = 0j, 0
        while abs(z) < 1e8 and steps < 110:
            z, steps = z * z + c[at], steps + 1
        assert np.isnan(time) == (steps >= 105) or abs(steps - 105) <= 6
        if not np.isnan(time):
            assert time == pytest.approx(steps + 1 - np.log2(np.log2(abs(z))), abs=1e-3)


def test_hexagons_are_shared_by_neighbours():
    """A cell seen from two tiles has one number, one geometry and the same attributes; numbers do not repeat."""
    hexagons = load("hexagons").hexagons
    west, east = (hexagons(Tile(5, x, 12)).set_index("id") for x in (9, 10))
    shared = west.index.intersection(east.index)
    assert len(shared) > 12 and west.index.is_unique
    assert west.loc[shared].geometry.geom_equals(east.loc[shared].geometry).all()
    assert west.loc[shared].drop(columns="geometry").equals(east.loc[shared].drop(columns="geometry"))


def test_hexagons_cover_the_tile_once():
    """They leave no gap in the tile and do not overlap; the grid closes at the 180th meridian."""
    hexagons = load("hexagons").hexagons
    tile = Tile(4, 15, 3)
    frame, square = hexagons(tile), shapely.box(*tile.bounds_3857)
    assert shapely.area(frame.geometry.intersection(square)).sum() == pytest.approx(square.area, rel=1e-9)
    assert set(frame["id"]) & set(hexagons(Tile(4, 0, 3))["id"])


@pytest.mark.parametrize(
    ("when", "latitude", "longitude"),
    [
        # Solstices and an equinox; noon at Greenwich moves by the equation of time (-1.8, +2.3 and -7.4 minutes).
        (datetime(2024, 6, 20, 20, 51, tzinfo=UTC), 23.44, -132.3),
        (datetime(2024, 12, 21, 9, 21, tzinfo=UTC), -23.44, 39.25),
        (datetime(2024, 3, 20, 3, 6), 0.0, 135.35),
    ],
)
def test_daylight_knows_solstices_and_equinoxes(when, latitude, longitude):
    """The sun is overhead at the tropics at the solstices, at the equator at the equinox; naive moments are UTC."""
    found = load("daylight").subsolar_point(when)
    assert found == pytest.approx((latitude, longitude), abs=0.25)


def test_daylight_is_clear_by_day_and_dark_by_night():
    """Opacity grows from the subsolar point to its antipode, band by band."""
    daylight = load("daylight")
    rgba = daylight.daylight(Tile(0, 0, 0), datetime(2024, 3, 20, 12, tzinfo=UTC))
    assert rgba[128, 128, 3] == 0 and rgba[128, 2, 3] == daylight.NIGHT
    assert {0, 55, 95, 130, 178} <= set(rgba[..., 3].ravel().tolist())


def test_cities_are_sorted_by_distance():
    """Rows go from near to far and within the limit; London is nine kilometres from Greenwich or less."""
    table = load("cities_table").cities_table(within_km=6000)
    assert table["city"][0] == "London" and table["distance_km"][0] < 10
    assert table["distance_km"].is_monotonic_increasing and table["distance_km"].max() <= 6000


RASTERS = ["cog", "cog_rgb", "cog_cmap", "cog_nodata_nan", "cog_dateline"]


def tiles_around(reader: Reader) -> list[Tile]:
    """Tiles of several zooms in and around a raster, some of them outside it."""
    west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
    centre = ((west + (east if east > west else east + 360)) / 2 + 180) % 360 - 180, (south + north) / 2
    found = [Tile(0, 0, 0), Tile(3, 4, 7)]
    for z in (4, *range(reader.maxzoom - 3, reader.maxzoom + 2)):
        at = reader.tms.tile(*centre, z)
        found += [Tile(z, (at.x + i) % 2**z, at.y + j) for i in (-1, 0, 2) for j in (0, 1)]
    return found


@needs_data
@pytest.mark.parametrize("name", RASTERS)
def test_raster_is_what_rio_tiler_reads(name, monkeypatch):
    """Pixels and masks are rio-tiler's own for the tile, through the file's colour table, and None outside."""
    monkeypatch.setenv("RASTER_PATH", str(DATA / f"{name}.tif"))
    raster_file, seen = load("raster_file").raster_file, 0
    with Reader(str(DATA / f"{name}.tif")) as reader:
        for tile in tiles_around(reader):
            image = raster_file(tile)
            try:
                expected = reader.tile(tile.x, tile.y, tile.z)
            except TileOutsideBounds:
                assert image is None
                continue
            shown = expected.apply_colormap(reader.colormap) if reader.colormap else expected
            seen += bool(expected.mask.any())
            assert np.array_equal(image.mask, shown.mask)
            assert np.array_equal(image.array.data, shown.array.data, equal_nan=image.array.dtype.kind == "f")
            if reader.colormap:
                with Image.open(io.BytesIO(expected.render(img_format="PNG", colormap=reader.colormap))) as png:
                    assert np.array_equal(image.data_as_image()[..., :3], np.asarray(png)[..., :3])
    assert seen >= 5


@needs_data
def test_raster_options(monkeypatch):
    """A range makes 8 bits, a colour map three bands, a band is chosen by number, an unknown one refused."""
    monkeypatch.setenv("RASTER_PATH", str(DATA / "cog_rgb.tif"))
    module = load("raster_file")
    with Reader(str(DATA / "cog_rgb.tif")) as reader:
        west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
        at = reader.tms.tile((west + east) / 2, (south + north) / 2, 14)
    tile = Tile(14, at.x, at.y)
    assert module.raster_file(tile, bands=[2], rescale=(0, 100), colormap="viridis").array.shape == (3, 256, 256)
    assert module.raster_file(tile, bands=[2]).array.shape == (1, 256, 256)
    with pytest.raises(ValueError, match="no band 9"):
        module.raster_file(tile, bands=[9])


def test_raster_query_binds():
    """What a map client writes into the query arrives as the function declares it."""
    udf = parse((ROOT / "examples" / "raster_file.py").read_text(), file="raster_file.py")
    bound = bind(udf, {"bands": ["3,2,1"], "rescale": ["0,3000"], "path": ["/etc/passwd"]}, tiled=True)
    assert bound == {
        "bands": [3, 2, 1],
        "colormap": None,
        "resampling": "nearest",
        "rescale": [0.0, 3000.0],
    }


@needs_data
def test_raster_over_the_dateline_does_not_smear(monkeypatch):
    """A scene at the 180th meridian touches both edges of the world and nothing between."""
    monkeypatch.setenv("RASTER_PATH", str(DATA / "cog_dateline.tif"))
    raster_file = load("raster_file").raster_file
    filled = {x for x in range(16) if (image := raster_file(Tile(4, x, 5))) is not None and image.mask.any()}
    assert filled == {0, 15}


VECTORS = [
    "ne_10m_lakes",
    "ne_10m_rivers_lake_centerlines",
    "ne_10m_populated_places",
    "ne_50m_admin_0_countries",
]


@needs_data
@pytest.mark.parametrize("ending", ["parquet", "small.parquet", "gpkg", "utm.parquet"])
@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_what_shapely_says(name, ending, monkeypatch, tmp_path):
    """A tile's features are those that meet it and its buffer: GeoParquet with boxes and without, GeoPackage."""
    frame = gpd.read_parquet(DATA / f"{name}.parquet").assign(row=lambda frame: range(len(frame)))
    path = tmp_path / f"file.{ending}"
    if ending == "gpkg":
        frame[["row", "geometry"]].to_file(path, engine="pyogrio")
    elif ending == "utm.parquet":
        frame = frame[["row", "geometry"]].cx[5:20, 40:60].to_crs("EPSG:32632")
        frame.to_parquet(path)
    else:
        frame.to_parquet(path, write_covering_bbox=True)
    monkeypatch.setenv("VECTOR_PATH", str(path))
    module = load("vector_file")
    if ending == "parquet":
        monkeypatch.setattr(module, "SMALL", 0)
    for tile in (Tile(0, 0, 0), Tile(2, 3, 1), Tile(4, 8, 5), Tile(6, 63, 20), Tile(7, 67, 44), Tile(11, 1072, 717)):
        area = module.in_crs(module.around(tile), frame.crs)
        expected = frame if area is None else frame[frame.intersects(shapely.box(*area))]
        found = module.vector_file(tile)
        assert sorted(found["row"]) == sorted(expected["row"])
        if frame.crs.is_geographic:
            assert set(frame.loc[frame.intersects(shapely.box(*tile.bounds)), "row"]) <= set(found["row"])
        assert found.crs == frame.crs
    assert len(module.vector_file(Tile(4, 8, 5))) > 0


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:3857", "EPSG:32632", "EPSG:4269", "EPSG:2154"])
def test_box_in_another_crs_holds_the_tile(crs):
    """Points all over a tile and its buffer lie inside the box that is read."""
    module = load("vector_file")
    for tile in (Tile(4, 8, 5), Tile(9, 266, 180), Tile(3, 0, 3), Tile(3, 7, 3)):
        west, south, east, north = module.around(tile)
        box = module.in_crs((west, south, east, north), module.CRS(crs))
        if box is None:
            continue
        x, y = np.meshgrid(np.linspace(west, east, 20), np.linspace(south, north, 20))
        points = gpd.GeoSeries(gpd.points_from_xy(x.ravel(), y.ravel()), crs="EPSG:3857").to_crs(crs)
        slack = (box[2] - box[0]) * 1e-3
        assert points.within(shapely.box(*box).buffer(slack)).all()
