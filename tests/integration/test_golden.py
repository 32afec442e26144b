"""Functions whose pixels and features follow from the tile's address or its bounds: nothing is swapped or shifted.

What is expected is computed here from z, x and y alone.
"""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import mercantile
import numpy as np
import pytest
import shapely
from commands import area, features
from numpy.typing import NDArray
from PIL import Image
from server import Running, serving

GOLDEN = Path(__file__).parent / "golden"
ZOOMS = range(23)
ROUTES = ["/tiles/{t}/{z}/{x}/{y}", "/server/v1/realtime-shared/{t}/run/tiles/{z}/{x}/{y}"]

Address = tuple[int, int, int]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over the folder of golden functions."""
    with serving(GOLDEN, data=tmp_path_factory.mktemp("golden") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[httpx.Client]:
    """One client that keeps its connection."""
    with running.client() as found:
        yield found


def get(client: httpx.Client, url: str) -> bytes:
    """The body of an answer that has one."""
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.content


def pixels(body: bytes) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def places(zoom: int) -> list[Address]:
    """The four corners of the world, both sides of the 180th meridian at the equator, Greenwich, and one between."""
    last, middle = 2**zoom - 1, 2**zoom // 2
    columns, rows = {0, last}, {0, last}
    found = {(x, y) for x in columns for y in rows}
    found |= {(x, y) for x in (0, last) for y in (max(middle - 1, 0), min(middle, last))}
    found |= {(x, y) for x in (max(middle - 1, 0), min(middle, last)) for y in (max(middle - 1, 0), min(middle, last))}
    found |= {(last * 5 // 7, last * 2 // 7)}
    return [(zoom, x, y) for x, y in sorted(found)]


def strips(z: int, x: int, y: int) -> NDArray[np.uint8]:
    """What `golden/strips.py` draws, one pixel for each strip."""
    return np.array([[z, x >> shift & 255, y >> shift & 255] for shift in (0, 8, 16, 24)], np.uint8)


def texture(x: int, y: int, size: int) -> NDArray[np.uint8]:
    """What `golden/texture.py` draws."""
    rows, columns = np.mgrid[y * size : (y + 1) * size, x * size : (x + 1) * size]
    return np.stack([columns & 255, rows & 255, (columns >> 8) + (rows >> 8) & 255], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("zoom", ZOOMS)
def test_the_address_arrives(running: Running, client: httpx.Client, zoom: int, route: str) -> None:
    """Zoom, column and row, every byte of them, are those of the URL."""
    for z, x, y in places(zoom):
        found = pixels(get(client, route.format(t=running.token("strips"), z=z, x=x, y=y)))
        assert np.array_equal(found, np.repeat(strips(z, x, y), 64, axis=0)[:, None] * np.ones((1, 256, 1), np.uint8))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("zoom", ZOOMS)
def test_every_pixel_is_in_its_place(running: Running, client: httpx.Client, zoom: int, route: str) -> None:
    """Each pixel has the number that its place in the world has, to the pixel, computed from the bounds."""
    for z, x, y in places(zoom):
        found = pixels(get(client, route.format(t=running.token("texture"), z=z, x=x, y=y)))
        assert np.array_equal(found, texture(x, y, 256)), (z, x, y)


@pytest.mark.parametrize(
    ("ending", "size"),
    [("@2x", 512), ("@3x.png", 768), ("@4x.png", 1024), (".png?tile_size=512", 512), ("@2x.png?tile_size=100", 200)],
)
@pytest.mark.parametrize("zoom", [0, 3, 22])
def test_larger_tiles_are_in_their_place(
    running: Running, client: httpx.Client, zoom: int, ending: str, size: int
) -> None:
    """A larger picture covers the same place with more pixels."""
    z, x, y = places(zoom)[-2 % len(places(zoom))]
    for route in ROUTES:
        found = pixels(get(client, route.format(t=running.token("texture"), z=z, x=x, y=y) + ending))
        assert np.array_equal(found, texture(x, y, size))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("zoom", ZOOMS)
def test_rows_from_the_south(running: Running, client: httpx.Client, zoom: int, route: str) -> None:
    """With `scheme=tms`, and as `{-y}` of clients counts them, row 0 is the southernmost."""
    for z, x, y in places(zoom)[::3]:
        south = 2**z - 1 - y
        found = pixels(get(client, route.format(t=running.token("strips"), z=z, x=x, y=south) + "?scheme=tms"))
        assert np.array_equal(found[::64, 0], strips(z, x, y))


def units(longitude: float, latitude: float, z: int, x: int, y: int) -> tuple[float, float]:
    """Degrees to units of a tile, x to the east and y to the south."""
    across = (longitude + 180) / 360
    down = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    return (across * 2**z - x) * 4096, (down * 2**z - y) * 4096


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("crs", [4326, 3857])
@pytest.mark.parametrize("zoom", ZOOMS)
def test_features_are_in_their_place(running: Running, client: httpx.Client, zoom: int, crs: int, route: str) -> None:
    """Corners at known degrees arrive at the units that a formula gives, in degrees and in metres."""
    for z, x, y in places(zoom):
        url = route.format(t=running.token("landmarks"), z=z, x=x, y=y)
        found = features(get(client, f"{url}.mvt?crs={crs}"), "landmarks")
        assert [each.kind for each in found] == [1, 2, 3]
        assert area(found[2].paths[0]) > 0
        for feature in found:
            expected = [units(*corner, z, x, y) for corner in json.loads(feature.properties["corners"])]
            assert all(0 < along < 4096 for corner in expected for along in corner)
            assert np.abs(corners(feature.paths[0]) - corners(np.array(expected))).max() <= 0.5 + 1e-5


def corners(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a path, from west to east: a ring may begin at any."""
    order = np.lexsort((path[:, 1], np.rint(path[:, 0])))
    return np.asarray(path[order], float)


@pytest.mark.parametrize("zoom", ZOOMS)
def test_geojson_tiles_are_in_their_place(running: Running, client: httpx.Client, zoom: int) -> None:
    """The same features as GeoJSON have the very degrees."""
    z, x, y = places(zoom)[-1]
    found = json.loads(get(client, f"/tiles/{running.token('landmarks')}/{z}/{x}/{y}.geojson"))["features"]
    assert [each["geometry"]["type"] for each in found] == ["Point", "LineString", "Polygon"]
    for each in found:
        there = shapely.get_coordinates(shapely.geometry.shape(each["geometry"]))
        assert {tuple(corner) for corner in each["properties"]["corners"]} == {tuple(corner) for corner in there}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("zoom", ZOOMS)
def test_what_is_injected(running: Running, client: httpx.Client, zoom: int, route: str) -> None:
    """`tile`, `bounds`, `bbox`, `x`, `y` and `z` are mercantile's for the tile, whatever the query says of them."""
    for z, x, y in places(zoom)[::2]:
        url = route.format(t=running.token("injected"), z=z, x=x, y=y)
        bounds = list(mercantile.bounds(x, y, z))
        assert json.loads(get(client, url + "?format=json&x=7&z=1&bounds=1,2,3,4&tile=0/0/0")) == {
            "tile": [z, x, y],
            "size": 256,
            "tile.bounds": bounds,
            "tile.bounds_3857": list(mercantile.xy_bounds(x, y, z)),
            "bounds": bounds,
            "bbox": bounds,
            "bbox.crs": 4326,
            "bbox.row": [{"x": x, "y": y, "z": z}],
            "x": x,
            "y": y,
            "z": z,
        }
