"""Colour maps: by name, as colours with or without the values at which they are, and value by value."""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import ImageColor

from tileserver.errors import InvalidParameterError

Colours = NDArray[np.uint8]
"""(colours, 4): RGBA."""
_MOST: Final = 256
_SAMPLES: Final = 16
_OPAQUE: Final = 255
_BARE: Final = re.compile(r"[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")
"""A colour without its #."""


class Ramp(NamedTuple):
    """Colours for a range, the first for its low end."""

    colours: Colours
    stops: NDArray[np.float64] | None = None
    """Values at equal distances along the colours, ascending; None where the range is not the map's own."""


class Categories(NamedTuple):
    """Colours for values, and for no other."""

    values: NDArray[np.float64]
    """Ascending."""
    colours: Colours
    """One for each value, and a transparent one behind them."""


@lru_cache(64)
def read(text: str) -> Ramp | Categories:
    """A colour map by its name, of a JSON list of colours or of [value, colour], or of a JSON object {value: colour}.

    Colours are "#rrggbb", "#rrggbbaa", what CSS names, or lists of three or four numbers up to 255.

    Raises:
        InvalidParameterError: it is none of these.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return Ramp(_named(text.strip()))
    try:
        given = orjson.loads(text)
        return _categories(given) if isinstance(given, dict) else _ramp(given)
    except (ValueError, TypeError, AttributeError):
        message = 'colormap is neither a name nor {value: "#rrggbb"}, ["#rrggbb", ...] or [[value, "#rrggbb"], ...]'
        raise InvalidParameterError(message, parameter="colormap") from None


def samples(text: str) -> list[str]:
    """Colours at equal distances along a map as "#rrggbbaa", the first and the last among them."""
    colours = read(text).colours
    return [f"#{bytes(colours[at]).hex()}" for at in np.linspace(0, len(colours) - 1, _SAMPLES).astype(int)]


def _named(name: str) -> Colours:
    """256 colours. rio-tiler has its own, and most of matplotlib's."""
    from rio_tiler.colormap import cmap
    from rio_tiler.errors import InvalidColorMapName

    try:
        colours = cmap.get(name.lower())
    except (InvalidColorMapName, KeyError):
        return _of_matplotlib(name)
    return np.array([colours[step] for step in range(_MOST)], np.uint8)


def _of_matplotlib(name: str) -> Colours:
    unknown = f"colormap={name} is not known"
    try:
        from matplotlib import colormaps
    except ImportError:
        raise InvalidParameterError(f"{unknown}; matplotlib is not installed here", parameter="colormap") from None
    exact = next((each for each in colormaps if each.lower() == name.lower()), None)
    if exact is None:
        raise InvalidParameterError(unknown, parameter="colormap")
    return np.asarray(colormaps[exact](np.linspace(0, 1, _MOST), bytes=True))


def _categories(given: dict[str, Any]) -> Categories:
    pairs = sorted((float(value), _rgba(colour)) for value, colour in given.items())
    return Categories(
        np.array([value for value, _ in pairs]), np.array([*(own for _, own in pairs), (0, 0, 0, 0)], np.uint8)
    )


def _ramp(given: list[Any]) -> Ramp:
    """Between the colours that are given as many, everywhere, as there is room for."""
    paired = all(isinstance(each, list) and len(each) == 2 for each in given)
    fixed = np.array([_rgba(each[1] if paired else each) for each in given], np.float64)
    stops = np.array([float(value) for value, _ in given]) if paired else None
    gaps = len(fixed) - 1
    if not 1 <= gaps < _MOST or not (stops is None or _ascend(stops)):
        raise ValueError(given)
    places = np.linspace(0, gaps, (_MOST - 1) // gaps * gaps + 1)
    channels = [np.rint(np.interp(places, np.arange(gaps + 1), channel)) for channel in fixed.T]
    return Ramp(np.stack(channels, axis=-1).astype(np.uint8), stops)


def _ascend(stops: NDArray[np.float64]) -> bool:
    """Two may be equal, where a colour changes at once."""
    return bool(np.isfinite(stops).all() and (np.diff(stops) >= 0).all() and stops[0] < stops[-1])


def _rgba(colour: Any) -> tuple[int, ...]:
    if isinstance(colour, list):
        rgba = tuple(bytes(colour))
    else:
        rgba = ImageColor.getrgb(f"#{colour}" if _BARE.fullmatch(colour) else colour)
    if len(rgba) not in (3, 4):
        raise ValueError(colour)
    return (*rgba, _OPAQUE)[:4]
