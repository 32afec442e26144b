"""Real files: the pixels are rio-tiler's, and what has to be warped lands where rasterio puts it."""

import copy
import io
import warnings

import numpy as np
import orjson
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from realdata import DATA, needs_data
from rio_tiler.colormap import cmap
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from tileserver.encode import encode
from tileserver.jobs import Output
from tileserver.tiles import Tile

pytestmark = needs_data

FILES = [
    "cog",
    "cog_cmap",
    "cog_dateline",
    "cog_int16",
    "cog_nodata_nan",
    "cog_rgb",
    "cog_rgba",
    "cog_scale",
    "mosaic_cog1",
]
WARPED = ["cog_int16", "cog_dateline", "cog_nodata_nan", "mosaic_cog1"]


def pixels(body):
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


def drawn(result, tile, **options):
    """Ours."""
    return pixels(encode(result, Output(formats=("png",), **options), tile, limit=10_000_000).body)


def rendered(image, limits, colormap):
    """rio-tiler's; NaN is a gap here, too."""
    image, missing = copy.deepcopy(image), np.isnan(image.array.data.astype(float)).all(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it casts what is masked
        if limits:
            image.rescale((limits,))
        found = pixels(image.render(img_format="PNG", colormap=colormap)).copy()
    found[missing] = 0
    return found


def middle(bounds, zoom):
    """The tile there, and the one it is in three zooms above."""
    west, south, east, north = bounds
    longitude = ((west + east + 360 * (east < west)) / 2 + 180) % 360 - 180
    return [Tile.at(longitude, (south + north) / 2, max(0, each)) for each in (zoom, zoom - 3)]


def limits_of(image):
    """Most of the values; None where they are 8 bits."""
    values = image.array.compressed()
    values = values[np.isfinite(values.astype(float))]
    if image.array.dtype == np.uint8 or not values.size:
        return None
    low, high = np.percentile(values, (5, 95))
    return float(np.floor(low)), float(np.ceil(high) + 1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", FILES)
def test_pixels_are_rio_tilers(name):
    """Of every file, by range, by a named colour map and by the file's own colour table."""
    with Reader(str(DATA / f"{name}.tif")) as reader:
        indexes = tuple(range(1, min(3, reader.dataset.count) + 1)) if reader.dataset.count != 2 else (1,)
        for tile in middle(reader.get_geographic_bounds("EPSG:4326"), reader.maxzoom):
            image = reader.tile(tile.x, tile.y, tile.z, indexes=indexes)
            limits = limits_of(image)
            options = {"rescale": (limits,)} if limits else {}
            tables = {None: None}
            if image.count == 1:
                tables["viridis"] = cmap.get("viridis")
            if reader.colormap:
                tables[orjson.dumps(reader.colormap, option=orjson.OPT_NON_STR_KEYS).decode()] = reader.colormap
            for colormap, table in tables.items():
                expected = rendered(image, limits, table)
                found, seen = drawn(image, tile, colormap=colormap, **options), expected[..., 3] > 0
                assert np.array_equal(found[..., 3], expected[..., 3]), (tile, colormap)
                assert np.array_equal(found[seen], expected[seen]), (tile, colormap)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average", "mode"])
@pytest.mark.parametrize("name", WARPED)
def test_a_warp_is_rasterios(name, resampling):
    """An overview of the file with its bounds and reference system lands on a tile as through a warped VRT."""
    with rasterio.open(DATA / f"{name}.tif") as file:
        count = min(file.count, 3)
        array = file.read(list(range(1, count + 1)), masked=True, out_shape=(count, 300, 300))
        bounds, crs, nodata = file.bounds, file.crs, file.nodata
        tile = middle(rasterio.warp.transform_bounds(crs, "EPSG:4326", *bounds), 9)[0]
    array = np.ma.masked_invalid(array)
    limits = limits_of(ImageData(array)) or (0, 255)
    found = drawn(ImageData(array, bounds=bounds, crs=crs), tile, rescale=(limits,), resampling=resampling)
    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": count, "dtype": array.dtype, "crs": crs}
    kept = np.nan if array.dtype.kind == "f" else nodata
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, transform=from_bounds(*bounds, 300, 300), nodata=kept) as out:
            out.write(array.filled(kept) if kept is not None else array.data)
        grid = {"transform": from_bounds(*tile.bounds_3857, 256, 256), "width": 256, "height": 256}
        with memory.open() as file, WarpedVRT(file, crs="EPSG:3857", resampling=Resampling[resampling], **grid) as vrt:
            expected = ImageData(vrt.read(masked=True), bounds=tile.bounds_3857, crs=vrt.crs)
    expected = rendered(expected, limits, None)
    same_gaps = found[..., 3] == expected[..., 3]
    both = (found[..., 3] > 0) & (expected[..., 3] > 0)
    assert both.mean() > 0.05
    assert same_gaps.mean() > 0.99
    off = np.abs(found[both].astype(int) - expected[both])
    assert (off <= 1 + 255 / (limits[1] - limits[0])).mean() > 0.995
