"""Day, night and the three twilights, now or at any moment, to lay over a map.

The sun's place comes from the low-precision formulas of the Astronomical Almanac (section C, "Low precision formulas
for the Sun": a hundredth of a degree between 1950 and 2050), as J. Michalsky gives them in Solar Energy 40 (1988),
227-235.
"""

from datetime import UTC, datetime
from math import asin, atan2, cos, degrees, radians, sin

import numpy as np
from numpy.typing import NDArray

from tileserver import Tile, udf

EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
SUNRISE = -0.833
"""Degrees: the height of the sun's centre when its upper edge is on the horizon, with the usual refraction."""
BANDS = [(SUNRISE, 0), (-6.0, 55), (-12.0, 95), (-18.0, 130)]
"""Below which height of the sun, what opacity: civil, nautical and astronomical twilight, then night from -18."""
NIGHT = 178
SOFT = 0.25
"""Degrees over which a band passes into the next."""


@udf(kind="raster", minzoom=0, maxzoom=10, cache_max_age="1m", attribution="Solar position: Astronomical Almanac")
def daylight(tile: Tile, when: datetime | None = None) -> NDArray[np.uint8]:
    """Transparent by day, darker band by band to the night.

    when: the moment, ISO 8601, in UTC unless it says another; left out, it is now.
    """
    declination, longitude = subsolar_point(when or datetime.now(UTC))
    return shade(sun_height(tile, declination, longitude))


def subsolar_point(when: datetime) -> tuple[float, float]:
    """Latitude (the declination) and longitude, in degrees, where the sun is overhead."""
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    days = (moment - EPOCH).total_seconds() / 86400
    anomaly = radians(357.528 + 0.9856003 * days)
    ecliptic = radians(280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 0.0000004 * days)
    ascension = degrees(atan2(cos(obliquity) * sin(ecliptic), cos(ecliptic)))
    greenwich = 15 * (18.697375 + 24.06570982441908 * days)
    return degrees(asin(sin(obliquity) * sin(ecliptic))), (ascension - greenwich + 180) % 360 - 180


def sun_height(tile: Tile, declination: float, longitude: float) -> NDArray[np.float64]:
    """Degrees of the sun's centre above the horizon, without refraction, at the centres of the tile's pixels."""
    pixels = (np.arange(tile.size) + 0.5) / tile.size
    x, y = ((pixels + at) / 2**tile.z for at in (tile.x, tile.y))
    latitude = np.arctan(np.sinh(np.pi * (1 - 2 * y)))[:, None]  # the inverse of Mercator's projection
    hour = 2 * np.pi * (x - 0.5) - radians(longitude)
    tilt = radians(declination)
    sine = np.sin(latitude) * sin(tilt) + np.cos(latitude) * cos(tilt) * np.cos(hour)
    height: NDArray[np.float64] = np.degrees(np.arcsin(np.clip(sine, -1, 1)))  # rounding may pass 1
    return height


def shade(height: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours and opacity (height, width, 4): steps at the bands' limits, softened."""
    opacities = [opacity for _, opacity in BANDS[1:]] + [NIGHT]
    before = [opacity for _, opacity in BANDS]
    stops = [(at, light) for (at, _), light in zip(BANDS, before, strict=True)]
    knots = [(at - SOFT, dark) for (at, _), dark in zip(BANDS, opacities, strict=True)]
    heights, alphas = zip(*sorted(stops + knots), strict=True)
    rgba = np.empty((*height.shape, 4), np.uint8)
    rgba[..., :3] = (10, 16, 48)
    rgba[..., 3] = np.interp(height, heights, alphas)
    return rgba
