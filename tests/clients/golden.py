"""What the golden UDFs paint at a place, from Web Mercator's own formula: nothing here is asked of the server.

x = (lon + 180) / 360            of the world's width, from the west
y = (1 - atanh(sin(lat)) / pi) / 2    of its height, from the north
"""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

Colour = tuple[float, float, float]
Place = tuple[float, float]
"""Longitude and latitude, degrees."""

WHITE: Colour = (255.0, 255.0, 255.0)
"""The ground in our pages, and under transparent tiles."""
TOLERANCE = 5
"""Of 255, per channel: clients resample, and their places are rounded to pixels."""
MARGIN = 0.06
"""Of a tile's width: places nearer to an edge are not looked at."""
CIRCUMFERENCE = 40_075_016.685578488
"""Metres of the world's width in EPSG:3857."""


def world(place: Place) -> tuple[float, float]:
    """Where a place lies in the world's square, 0 to 1 from the west and from the north."""
    lon, lat = place
    return (lon + 180) / 360, (1 - math.atanh(math.sin(math.radians(lat))) / math.pi) / 2


def place_of(x: float, y: float) -> Place:
    """The inverse of `world`."""
    return x * 360 - 180, math.degrees(math.asin(math.tanh(math.pi * (1 - 2 * y))))


@dataclass(frozen=True, kw_only=True)
class View:
    """What a client is told to show, north up."""

    lon: float
    lat: float
    """Of the middle, degrees."""
    zoom: int
    """As MapLibre and deck.gl count: at 0 the world is 512 pixels wide. Raster tiles are of one zoom more."""
    width: int = 900
    height: int = 600
    """CSS pixels."""

    covered: tuple[int, int] = (0, 0)
    """Pixels on the left and on the right in front of which something else may lie."""

    @property
    def free(self) -> tuple[int, int]:
        """The columns that show the map."""
        return self.covered[0], self.width - self.covered[1]

    @property
    def period(self) -> float:
        """Degrees of the texture's wave: steep enough to see three pixels, and longer than a tile."""
        return 640 / 2 ** (self.zoom + 1)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres of EPSG:3857."""
        x, y = world((self.lon, self.lat))
        across, down = (side / 512 / 2**self.zoom / 2 for side in (self.width, self.height))
        west, east = ((edge - 0.5) * CIRCUMFERENCE for edge in (x - across, x + across))
        north, south = ((0.5 - edge) * CIRCUMFERENCE for edge in (y - down, y + down))
        return west, south, east, north

    def place(self, column: float, row: float) -> Place:
        """The place under a CSS pixel, counted from the upper left."""
        x, y = world((self.lon, self.lat))
        size = 512 * 2**self.zoom
        return place_of(x + (column - self.width / 2) / size, y + (row - self.height / 2) / size)

    def pixels(self, tile_zoom: int) -> Iterator[tuple[int, int]]:
        """Pixels all over what is free, at unlike distances, none near the edge of a tile or of its quarters."""
        left, right = self.free
        for row in range(23, self.height - 20, 47):
            for column in range(left + 23, right - 20, 61):
                halves = (side * 2 ** (tile_zoom + 1) % 1 for side in world(self.place(column, row)))
                if all(2 * MARGIN < part < 1 - 2 * MARGIN for part in halves):
                    yield column, row


VIEWS = [
    View(lon=-52.3, lat=31.7, zoom=3),
    View(lon=138.6, lat=-34.9, zoom=6),
    View(lon=9.18, lat=48.78, zoom=11),
]


def tile_at(place: Place, zoom: int) -> tuple[int, int, int]:
    """Zoom, column and row of the tile that holds a place."""
    x, y = world(place)
    return zoom, math.floor(x * 2**zoom), math.floor(y * 2**zoom)


def address_colour(place: Place, zoom: int) -> Colour:
    """Of the UDFs `address` and `marks`."""
    z, x, y = tile_at(place, zoom)
    return z * 10, (x * 53 + 17) % 256, (y * 29 + 101) % 256


def degrees_colour(place: Place, period: float) -> Colour:
    """Of the UDF `degrees`."""
    red, green = (255 * (1 - abs(2 * (value / period % 1) - 1)) for value in place)
    return red, green, 0


def is_marked(place: Place, zoom: int) -> bool:
    """Whether a place lies in the north-western quarter of its tile, which `marks` fills."""
    return all(side * 2**zoom % 1 < 0.5 for side in world(place))


def marks_colour(place: Place, zoom: int) -> Colour:
    """Of the UDF `marks` on white ground."""
    return address_colour(place, zoom) if is_marked(place, zoom) else WHITE


def marks_attributes(place: Place, zoom: int) -> dict[str, int | str] | None:
    """What the feature at a place says of itself."""
    z, x, y = tile_at(place, zoom)
    return {"z": z, "x": x, "y": y, "name": f"{z}/{x}/{y}"} if is_marked(place, zoom) else None


def squares_colour(place: Place, period: float) -> Colour | None:
    """Of the UDF `squares` on white ground; None near the edge of a square."""
    i, j = (math.floor(side / period) for side in place)
    if any(not MARGIN < side / period % 1 < 1 - MARGIN for side in place):
        return None
    return (40, (i * 53 + 17) % 256, (j * 29 + 101) % 256) if (i + j) % 2 == 0 else WHITE


def is_hole(place: Place, zoom: int) -> bool:
    """Whether `holes=true` leaves the tile empty."""
    _, x, y = tile_at(place, zoom)
    return (x + y) % 2 == 1


class Picture:
    """What a client drew."""

    def __init__(self, png: bytes | Path, *, scale: int = 1) -> None:
        source = png if isinstance(png, Path) else io.BytesIO(png)
        self.pixels = np.asarray(Image.open(source).convert("RGB")).astype(int)
        self.scale = scale

    def at(self, column: int, row: int) -> Colour:
        """The median of seven by seven pixels around a CSS pixel: a thin line across it does not count."""
        top, left = (int(side * self.scale) - 3 for side in (row, column))
        around = self.pixels[top : top + 7, left : left + 7]
        red, green, blue = np.median(around.reshape(-1, 3), axis=0)
        return float(red), float(green), float(blue)

    def check(self, view: View, tile_zoom: int, expected: Callable[[Place], Colour | None]) -> None:
        """Every pixel of the view's grid has the colour that its place ought to have, where that is known."""
        wanted = {pixel: expected(view.place(*pixel)) for pixel in view.pixels(tile_zoom)}
        known = {pixel: colour for pixel, colour in wanted.items() if colour is not None}
        assert len(known) >= 25
        seen = {pixel: self.at(*pixel) for pixel in known}
        wrong = [pixel for pixel in known if not _alike(seen[pixel], known[pixel])]
        lines = [f"{pixel}: {seen[pixel]}, not {known[pixel]}" for pixel in wrong]
        assert not wrong, f"{len(wrong)} of {len(known)} pixels are wrong:\n" + "\n".join(lines[:12])


def _alike(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))
