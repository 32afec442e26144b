"""`examples/raster_file.py` on real files over HTTP: the pixels are those that rio-tiler itself draws."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from realdata import DATA, EXAMPLES, needs_data
from rio_tiler.colormap import cmap
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from server import serving

from tileserver.tiles import Tile

pytestmark = needs_data

Pixels = NDArray[np.uint8]
Limits = tuple[float, float]

RANGES: dict[str, Limits | None] = {
    "cog": (0.0, 8000.0),
    "cog_rgb": None,
    "cog_cmap": None,
    "cog_nodata_nan": (0.0, 1.0),
    "cog_dateline": (20000.0, 25000.0),
}
"""By file the values that become black and white; None where they are 8 bits."""


@dataclass
class Layer:
    """A served file, and rio-tiler's reader of it."""

    name: str
    template: str
    """The tile URL without extension."""
    client: httpx.Client
    reader: Any

    @property
    def query(self) -> str:
        """The range as the URL has it."""
        limits = RANGES[self.name]
        return f"?rescale={limits[0]:g},{limits[1]:g}" if limits else "?"

    def served(self, tile: Tile, ending: str) -> Pixels:
        """The pixels of an answer, (height, width, 4)."""
        return pixels(self.get(tile, ending).content)

    def get(self, tile: Tile, ending: str) -> httpx.Response:
        """The answer at a tile; it has a picture."""
        answer = self.client.get(self.template.format(z=tile.z, x=tile.x, y=tile.y) + ending)
        assert answer.status_code == 200, answer.text
        return answer

    @cached_property
    def all(self) -> dict[Tile, Pixels]:
        """What rio-tiler draws on the tiles around the file."""
        return {tile: self.expected(tile) for tile in around(self.reader)}

    @property
    def seen(self) -> list[Tile]:
        """The tiles, from shallow to deep, on which rio-tiler draws something."""
        return [tile for tile, drawn in self.all.items() if drawn[..., 3].any()]

    def expected(
        self, tile: Tile, size: int = 256, *, colormap: str | None = None, limits: Limits | None = None, **options: Any
    ) -> Pixels:
        """The pixels that rio-tiler draws; transparent outside the file."""
        options.setdefault("indexes", tuple(range(1, min(self.reader.dataset.count, 3) + 1)))
        try:
            image = self.reader.tile(tile.x, tile.y, tile.z, tilesize=size, **options)
        except TileOutsideBounds:
            return np.zeros((size, size, 4), np.uint8)
        table = cmap.get(colormap) if colormap else self.reader.colormap
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rio-tiler casts what is masked, NaN too
            if limits := limits or RANGES[self.name]:
                image.rescale([limits])
            return pixels(image.render(img_format="PNG", colormap=table)).copy()


def pixels(body: bytes) -> Pixels:
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


def same(found: Pixels, expected: Pixels) -> bool:
    """Whether opacity is equal everywhere and colours where something is seen."""
    seen = expected[..., 3] > 0
    return np.array_equal(found[..., 3], expected[..., 3]) and np.array_equal(found[seen], expected[seen])


@pytest.fixture(scope="module", params=RANGES)
def layer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    """A server of one file, as the examples' README starts it."""
    file, data = DATA / f"{request.param}.tif", tmp_path_factory.mktemp(request.param) / "data"
    example: Path = EXAMPLES / "raster_file.py"
    with (
        serving(example, data=data, RASTER_PATH=str(file), TILESERVER_WORKER_ENV="RASTER_PATH") as server,
        server.client() as client,
        Reader(str(file)) as reader,
    ):
        yield Layer(request.param, f"/tiles/{server.token('raster_file')}/{{z}}/{{x}}/{{y}}", client, reader)


def around(reader: Any) -> list[Tile]:
    """Tiles in, at the edge of and outside a file: whole world, far away, and four zooms at its middle and corners."""
    west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
    east += 360 * (east < west)
    places = [(west, north), (east, north), (west, south), (east, south), ((west + east) / 2, (south + north) / 2)]
    found = {Tile(0, 0, 0), Tile(3, 4, 7)}
    for zoom in (3, reader.maxzoom - 2, reader.maxzoom, reader.maxzoom + 1):
        for longitude, latitude in places:
            at = Tile.at((longitude + 180) % 360 - 180, latitude, zoom)
            beyond = (at.x + 1) % 2**zoom, (at.x + 9) % 2**zoom
            found |= {at, *(Tile(zoom, x, at.y) for x in beyond)}
    return sorted(found, key=lambda tile: (tile.z, tile.x, tile.y))


def test_pixels_are_rio_tilers(layer: Layer) -> None:
    """Every pixel of every PNG is rio-tiler's, its own colour table and gaps in it; outside all is transparent."""
    filled = clear = 0
    for tile, expected in layer.all.items():
        assert same(layer.served(tile, f".png{layer.query}"), expected), tile
        filled += bool(expected[..., 3].any())
        clear += not expected[..., 3].all()
    assert filled >= 8
    assert clear >= 8


def test_without_a_range_the_types_own_counts(layer: Layer) -> None:
    """Integers run over all their values, floats from 0 to 1; here the encoder scales, and NaN is a gap as well."""
    kind = np.dtype(layer.reader.dataset.dtypes[0])
    limits = (0.0, 1.0) if kind.kind == "f" else (0.0, float(np.iinfo(kind).max))
    for tile in layer.seen[::4]:
        expected = layer.expected(tile, limits=limits)
        if kind.kind == "f":
            raw = layer.reader.tile(tile.x, tile.y, tile.z).array.data[0]
            expected[np.isnan(raw)] = 0
        assert same(layer.served(tile, ".png"), expected), tile


@pytest.mark.parametrize(("ending", "size"), [("@2x.png", 512), (".png", 512), ("@2x.png", 1024)])
def test_larger_tiles_are_rio_tilers(layer: Layer, ending: str, size: int) -> None:
    """`@2x`, `tile_size` and both together have the pixels that rio-tiler reads for that size."""
    side = size // 2 if ending.startswith("@2x") else size
    for tile in layer.seen[::12]:
        found = layer.served(tile, f"{ending}{layer.query}&tile_size={side}")
        assert same(found, layer.expected(tile, size)), tile


def test_colour_maps_and_resampling_are_rio_tilers(layer: Layer) -> None:
    """A named colour map and another resampling give rio-tiler's pixels, of the band that is chosen."""
    band = layer.reader.dataset.count
    for tile in layer.seen[::5]:
        found = layer.served(tile, f".png{layer.query}&bands={band}&colormap=viridis&resampling=bilinear")
        options: dict[str, Any] = {"indexes": (band,), "resampling_method": "bilinear"}
        assert same(found, layer.expected(tile, colormap="viridis", **options)), tile


@pytest.mark.parametrize("layer", ["cog_rgb"], indirect=True)
def test_bands_are_rio_tilers(layer: Layer) -> None:
    """Bands arrive in the order that is asked for."""
    for tile in layer.seen[::3]:
        found = layer.served(tile, ".png?bands=3,1,2")
        assert same(found, layer.expected(tile, indexes=(3, 1, 2))), tile
        assert not same(found, layer.all[tile])


def test_lossy_formats_are_near(layer: Layer) -> None:
    """WebP has the exact opacity and nearly the colours; JPEG nearly those of the tile on white."""
    for tile in layer.seen[::6]:
        expected = layer.all[tile].astype(float)
        webp = layer.served(tile, f".webp{layer.query}&quality=95").astype(float)
        assert np.array_equal(webp[..., 3], expected[..., 3])
        opaque = expected[..., 3] == 255
        assert np.abs(webp - expected)[opaque].mean() < 4
        share = expected[..., 3:] / 255
        answer = layer.get(tile, f".jpg{layer.query}&quality=95")
        assert answer.headers["content-type"] == "image/jpeg"
        on_white = expected[..., :3] * share + 255 * (1 - share)
        assert np.abs(pixels(answer.content)[..., :3] - on_white).mean() < 4


@pytest.mark.parametrize("layer", ["cog_dateline"], indirect=True)
@pytest.mark.parametrize("zoom", [3, 4, 5])
def test_a_scene_at_the_180th_meridian_is_at_both_edges_of_the_world(layer: Layer, zoom: int) -> None:
    """Of all columns only the first and the last have something in them: nothing smears across the world."""
    _, south, _, north = layer.reader.get_geographic_bounds("EPSG:4326")
    rows = range(Tile.at(0, north, zoom).y, Tile.at(0, south, zoom).y + 1)
    filled = {
        column
        for column in range(2**zoom)
        for row in rows
        if layer.served(Tile(zoom, column, row), f".png{layer.query}")[..., 3].any()
    }
    assert filled == {0, 2**zoom - 1}
