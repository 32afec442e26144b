"""Raster files on tiles: rio-tiler's values and gaps, whatever the file; and which files stay open."""

import contextlib
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.shutil import copy
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from realdata import DATA, needs_data
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

from tileserver import read_raster
from tileserver.rasters import files
from tileserver.tiles import Tile

pytestmark = pytest.mark.filterwarnings(  # of rio-tiler and rasterio
    "ignore::rio_tiler.errors.NoOverviewWarning",
    "ignore::rasterio.errors.NodataShadowWarning",
    "ignore:Adjusting dataset latitudes",
    "ignore:BoundingBox of the",
)

WORLD = from_bounds(-180, -90, 180, 90, 720, 360)
UTM = from_bounds(400_000, 5_000_000, 410_000, 5_010_000, 500, 500)


def written(path, crs, transform, shape, *, dtype="uint8", nodata=None, mask=None, overviews=(), **more):
    """A file of noise; a fifth of it has no data where that can be said."""
    chance = np.random.default_rng(1)
    count, height, width = shape
    values = chance.integers(0, 250, shape).astype(dtype)
    gaps = chance.random((height, width)) < 0.2
    if nodata is not None:
        values[:, gaps] = nodata
    profile = {"count": count, "height": height, "width": width, "dtype": dtype, "crs": crs, "transform": transform}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(path, "w", driver="GTiff", nodata=nodata, **profile, **more) as file:
            file.write(values)
            if mask:
                file.write_mask(~gaps)
        with rasterio.open(path, "r+") as file:
            file.build_overviews(list(overviews), Resampling.nearest)
    return path


def some_tiles(reader, *, seed=1, count=60):
    """Tiles near a file from three zooms above what it has to two below."""
    chance = random.Random(seed)
    west, south, east, north = reader.get_geographic_bounds(reader.tms.rasterio_geographic_crs)
    for _ in range(count):
        zoom = chance.randint(max(0, reader.minzoom - 3), min(24, reader.maxzoom + 2))
        longitude = chance.uniform(west, east + 360 * (east < west))
        yield Tile.at((longitude + 180) % 360 - 180, chance.uniform(south, north), zoom)


def theirs(reader, tile, **options):
    """rio-tiler's array; all masked where it finds the tile outside of the file."""
    try:
        return reader.tile(tile.x, tile.y, tile.z, tilesize=tile.size, **options).array
    except TileOutsideBounds:
        shape = (len(options.get("indexes", reader.dataset.indexes)), tile.size, tile.size)
        return np.ma.MaskedArray(np.zeros(shape), True)


def differing(found, expected):
    """The share of pixels whose values differ, or that only one has."""
    one, other = np.ma.getmaskarray(found), np.ma.getmaskarray(expected)
    unequal = (found.data != expected.data) & ~one & ~other
    if found.dtype.kind == "f":
        unequal &= ~(np.isnan(found.data) & np.isnan(expected.data))
    return float((unequal | (one != other)).any(axis=0).mean())


def compared(path, **options):
    """The worst of some tiles."""
    with Reader(str(path)) as reader:
        found = [differing(read_raster(path, tile), theirs(reader, tile, **options)) for tile in some_tiles(reader)]
    return max(found)


@needs_data
@pytest.mark.parametrize("path", sorted(DATA.glob("*.tif")), ids=lambda path: path.stem)
def test_real_files(path):
    """Values, types and gaps are rio-tiler's."""
    allowed = 1e-4 if path.stem == "cog_dateline" else 0  # from where the projection is torn GDAL goes other ways
    assert compared(path) <= allowed
    with Reader(str(path)) as reader:
        tile = next(iter(some_tiles(reader)))
        assert read_raster(path, tile).dtype == reader.dataset.dtypes[0]


MADE = {
    "mask": ("EPSG:32633", UTM, (3, 500, 500), {"mask": True, "overviews": (2, 4)}),
    "alpha": ("EPSG:32633", UTM, (4, 500, 500), {"photometric": "RGB", "alpha": "yes"}),
    "deep alpha": ("EPSG:32633", UTM, (2, 500, 500), {"dtype": "uint16", "alpha": "yes"}),
    "alpha and nodata": ("EPSG:32633", UTM, (4, 500, 500), {"photometric": "RGB", "alpha": "yes", "nodata": 7}),
    "mask and nodata": ("EPSG:32633", UTM, (2, 500, 500), {"mask": True, "nodata": 7}),
    "tiny overviews": ("EPSG:32633", UTM, (1, 500, 500), {"overviews": (2, 256, 1024)}),
    "feet": ("EPSG:2263", from_bounds(9.8e5, 1.9e5, 1.01e6, 2.2e5, 500, 500), (1, 500, 500), {"overviews": (2, 4, 8)}),
    "arctic": ("EPSG:3413", from_bounds(0, -3e6, 5e5, -2.5e6, 500, 500), (1, 500, 500), {"overviews": (2, 4, 8)}),
    "google": ("EPSG:900913", from_bounds(1e6, 6e6, 1.1e6, 6.1e6, 400, 400), (1, 400, 400), {}),
    "beyond the square": ("EPSG:4326", from_bounds(0, 86, 90, 90, 300, 40), (1, 40, 300), {}),
    "turned": ("EPSG:32633", Affine(8, 3, 4e5, 2, -9, 5.01e6), (2, 500, 600), {"nodata": 7, "overviews": (2, 4)}),
    "odd overviews": ("EPSG:32633", UTM, (1, 333, 777), {"overviews": (3, 5, 9)}),
    "from the south": ("EPSG:4326", Affine(0.01, 0, 10, 0, 0.01, 40), (1, 500, 700), {"dtype": "int16", "nodata": -1}),
    "world": ("EPSG:4326", WORLD, (1, 360, 720), {"dtype": "float32", "nodata": np.nan}),
    "behind the meridian": ("EPSG:4326", from_bounds(170, -20, 190, 0, 300, 300), (1, 300, 300), {}),
    "polar": ("EPSG:3995", from_bounds(-4e6, -4e6, 4e6, 4e6, 600, 600), (1, 600, 600), {"overviews": (2, 4)}),
    "mercator": ("EPSG:3857", from_bounds(1e6, 6e6, 1.1e6, 6.1e6, 400, 400), (1, 400, 400), {"overviews": (2,)}),
    "large": ("EPSG:32633", from_bounds(4e5, 5e6, 4.6e5, 5.06e6, 4200, 4200), (1, 4200, 4200), {}),
}


@pytest.mark.parametrize(("crs", "transform", "shape", "options"), MADE.values(), ids=MADE)
def test_files_of_every_kind(tmp_path, crs, transform, shape, options):
    """The same of files that were made for it; noise would tell of a single wrong neighbour."""
    path = written(tmp_path / "made.tif", crs, transform, shape, **options)
    assert compared(path) == 0


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average", "mode"])
def test_other_resampling(tmp_path, resampling):
    """As rio-tiler does it."""
    path = written(tmp_path / "made.tif", "EPSG:32633", UTM, (1, 500, 500), overviews=(2, 4))
    with Reader(str(path)) as reader:
        for tile in some_tiles(reader, count=8):
            expected = theirs(reader, tile, resampling_method=resampling, reproject_method=resampling)
            assert differing(read_raster(path, tile, resampling=resampling), expected) == 0
    with pytest.raises(KeyError):
        read_raster(path, Tile(0, 0, 0), resampling="guess")


def test_bands_and_sizes(tmp_path):
    """As many as are asked for, in their order; tiles of any size."""
    path = written(tmp_path / "made.tif", "EPSG:32633", UTM, (3, 500, 500))
    with Reader(str(path)) as reader:
        for tile in some_tiles(reader, count=8):
            large = Tile(tile.z, tile.x, tile.y, size=512)
            # of some bands rio-tiler takes neighbours of neighbours, since GDAL makes a picture of another size first
            expected = theirs(reader, large)[[2, 0]]
            assert differing(read_raster(str(path), large, (3, 1)), expected) == 0
    for bands in ([4], [0], []):
        with pytest.raises(IndexError):
            read_raster(path, Tile(0, 0, 0), bands)


def test_outside(tmp_path):
    """All is masked, without a look at the file's pixels."""
    path = written(tmp_path / "made.tif", "EPSG:32633", UTM, (1, 500, 500))
    found = read_raster(path, Tile(8, 3, 200))
    assert found.shape == (1, 256, 256)
    assert found.mask.all()


def test_a_file_that_is_not_there(tmp_path):
    """Says so."""
    with pytest.raises(rasterio.errors.RasterioIOError, match=r"nothing\.tif"):
        read_raster(tmp_path / "nothing.tif", Tile(0, 0, 0))


def test_a_new_file_is_opened_anew(tmp_path):
    """As soon as it is there."""
    path, tile = tmp_path / "made.tif", Tile.at(13.8, 45.2, 12)
    written(path, "EPSG:32633", UTM, (1, 500, 500))
    assert read_raster(path, tile).shape[0] == 1
    assert files.opened(path) is files.opened(str(path))
    written(tmp_path / "other.tif", "EPSG:32633", UTM, (2, 500, 500))
    (tmp_path / "other.tif").replace(path)
    assert read_raster(path, tile).shape[0] == 2


def test_what_belongs_to_a_file(tmp_path, monkeypatch):
    """Is looked at again after some minutes: the source of a VRT, which is still what it was."""
    source, tile = tmp_path / "source.tif", Tile.at(13.8, 45.2, 12)
    written(source, "EPSG:32633", UTM, (1, 500, 500))
    with rasterio.open(source) as file, WarpedVRT(file, crs="EPSG:32633") as made:
        copy(made, tmp_path / "made.vrt", driver="VRT")
    before = read_raster(tmp_path / "made.vrt", tile)
    with rasterio.open(source, "r+") as file:
        file.write(file.read() // 2)
    assert np.array_equal(read_raster(tmp_path / "made.vrt", tile).data, before.data)
    monkeypatch.setattr(files, "_SECONDS", 0.0)
    assert np.array_equal(read_raster(tmp_path / "made.vrt", tile).data, before.data // 2)


def test_the_last_files_stay_open(tmp_path):
    """Thirty-two with their overviews; the others are closed."""
    paths = [written(tmp_path / f"{at}.tif", "EPSG:32633", UTM, (1, 500, 500), overviews=(2,)) for at in range(20)]
    for path in paths:
        for zoom in (8, 14):
            read_raster(path, Tile.at(13.8, 45.2, zoom))
    targets = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            targets.append(str(each.readlink()))
    assert [targets.count(str(path)) for path in paths] == [0] * 4 + [2] * 16


def test_a_child_opens_files_of_its_own(tmp_path):
    """It would read where its parent reads, and wait for locks that nobody gives back."""
    path = written(tmp_path / "made.tif", "EPSG:32633", UTM, (1, 500, 500))
    tile = Tile.at(13.8, 45.2, 12)
    file, expected = files.opened(path), read_raster(path, tile)
    with file.lock:
        child = os.fork()
        if child == 0:
            good = files.opened(path) is not file and np.array_equal(read_raster(path, tile).data, expected.data)
            os._exit(0 if good else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_take_turns(tmp_path):
    """A dataset is one thread's at a time; each gets what it asked for."""
    path = written(tmp_path / "made.tif", "EPSG:32633", UTM, (1, 500, 500), overviews=(2, 4))
    with Reader(str(path)) as reader:
        tiles = list(some_tiles(reader, count=40))
        expected = [theirs(reader, tile) for tile in tiles]
    found = [None] * len(tiles)

    def work(first):
        for at in range(first, len(tiles), 4):
            found[at] = read_raster(path, tiles[at])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [differing(*pair) for pair in zip(found, expected, strict=True)] == [0] * len(tiles)
