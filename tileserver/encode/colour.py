"""Values to colours: ranges, gamma, colour maps, transparency. Each value is looked at once.

What has 8 or 16 bits goes through a table of all its values; wider types are scaled block by block, and go through a
table of 16 bits where more is to be done than that.
"""

from functools import lru_cache, reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tileserver.encode import colormaps
from tileserver.encode.colormaps import Categories, Ramp
from tileserver.encode.palette import Indexed
from tileserver.encode.smooth import Smooth, are_fine
from tileserver.errors import InvalidParameterError
from tileserver.jobs import Output

Masked = np.ma.MaskedArray[Any, Any]
Channel = NDArray[np.uint8]
"""(height, width)."""
Pixels = NDArray[np.uint8]
"""(height, width, channels)."""
Range = tuple[float, float]

_OPAQUE: Final = 255
_FINE: Final = 65535
_BLOCK: Final = 16384
"""Values whose intermediate results stay in a core's own cache."""


def pixels(bands: Masked, output: Output, alpha: Channel | None = None) -> Pixels | Indexed:
    """Grey, grey + alpha, RGB or RGBA; with a colour map numbers of colours, where 256 will do.

    8 bits are shown as they are, bool as 0 and 255. Other types run from 0 to 255 over `output.rescale`, else over the
    type's nominal range (integers) or 0 to 1 (floats), cut off below the decimal point as rio-tiler does. A pixel is
    transparent where none of its colour bands has a value; a second or fourth band is alpha. Without alpha, all is
    opaque; transparent pixels are black.

    Args:
        bands: (1 to 4, height, width), masked where there is no value.
        output: `rescale`, `gamma` and `colormap` count.
        alpha: opacity beside what the bands say.

    Raises:
        InvalidParameterError: `rescale` or `colormap` does not fit.
    """
    values, mask = np.ma.getdata(bands), _mask(bands)
    colours = len(values) if len(values) in (1, 3) else len(values) - 1
    opacities = _opacities(_band_alpha(values, mask, colours, output), alpha, _visible(mask, colours))
    if output.colormap is not None:
        return _shown(_mapped(values[:colours], output), opacities)
    limits = _ranges(values.dtype, len(values), colours, output)
    channels = [_scaled(values[at], limits[at], output.gamma) for at in range(colours)]
    if mask is not None:
        channels = [channel * ~mask[at] for at, channel in enumerate(channels)]
    return _interleaved(channels, opacities)


def of_smooth(bands: Smooth, output: Output) -> Pixels | Indexed | None:
    """The same of 1 to 4 bands that have yet to be stretched; None where more than a range is to be applied to values.

    What lies between values that are whole need not be whole, so that ranges of fewer than 256 values show no steps;
    what is whole has the colour that it has by itself.

    Raises:
        InvalidParameterError: `rescale` does not fit.
    """
    count, ramp = bands.count, _ramp(output.colormap or "")
    colours = count if count in (1, 3) else count - 1
    shown = output.colormap is None or (ramp is not None and ramp.stops is None and count == 1)
    if not shown or output.gamma != 1 or bands.dtype.kind == "b":
        return None
    limits = _ranges(bands.dtype, count, colours, output)[:colours]
    if colours < count:
        limits = (*limits, _alpha_range(bands.dtype, count, output))
    if not are_fine(limits):
        return None
    steps, none = bands.steps(limits, _OPAQUE if ramp is None else len(ramp.colours) - 1)
    opacities = _opacities(steps[-1] if colours < count else None, _visible(none, colours))
    if ramp is not None:
        return _shown(Indexed(steps[0], ramp.colours, steps=True), opacities)
    if colours == count:
        return np.stack([*steps, *opacities], axis=-1)  # what has no value is dark
    return _interleaved([*steps[:colours]], opacities)


def nominal(dtype: np.dtype[Any]) -> Range:
    """The values of a data type that become 0 and 255."""
    if dtype.kind in "fb":
        return 0.0, 1.0
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _mask(bands: Masked) -> NDArray[np.bool_] | None:
    """(bands, height, width): True where there is no value; None where all have one."""
    mask: Any = np.ma.getmask(bands)
    return mask if mask is not np.ma.nomask and mask.any() else None


def _visible(mask: NDArray[np.bool_] | None, colours: int) -> Channel | None:
    """Opaque where any of the colour bands has a value."""
    if mask is None:
        return None
    hidden: NDArray[np.bool_] = reduce(np.logical_and, mask[:colours])
    return (~hidden).view(np.uint8) * np.uint8(_OPAQUE)


def _band_alpha(values: NDArray[Any], mask: NDArray[np.bool_] | None, colours: int, output: Output) -> Channel | None:
    """Of the band behind the colours."""
    if colours == len(values):
        return None
    alpha = _scaled(values[-1], _alpha_range(values.dtype, len(values), output))
    return alpha if mask is None else alpha * ~mask[-1]


def _alpha_range(dtype: np.dtype[Any], count: int, output: Output) -> Range:
    """Its `rescale` counts only where that names every band, and never for 8 bits."""
    given = output.rescale or ()
    return given[-1] if 1 < len(given) == count and dtype != np.uint8 else nominal(dtype)


def _ranges(dtype: np.dtype[Any], count: int, colours: int, output: Output) -> tuple[Range, ...]:
    given = output.rescale or (nominal(dtype),)
    if len(given) not in (1, colours, count):
        raise InvalidParameterError(f"rescale has {len(given)} ranges for {count} bands", parameter="rescale")
    return given * colours if len(given) == 1 else given


def _opacities(*found: Channel | None) -> list[Channel]:
    """Those that are not opaque everywhere."""
    return [each for each in found if each is not None and each.min() < _OPAQUE]


def _interleaved(channels: list[Any], opacities: list[Channel]) -> Pixels:
    """Pixels of channels, as opaque as all opacities together."""
    if not opacities:
        return np.stack(channels, axis=-1)
    alpha = opacities[0]
    for each in opacities[1:]:
        alpha = (alpha.astype(np.uint16) * each // _OPAQUE).astype(np.uint8)
    seen = alpha != 0
    return np.stack([*(channel * seen for channel in channels), alpha], axis=-1)


def _shown(image: Indexed, opacities: list[Channel]) -> Pixels | Indexed:
    """The image where it is opaque: still with a palette, if that has room for what is transparent."""
    if not opacities and image.fits:
        return image
    # of 8 bits 0 and 255 alone are followed by 1 and 0
    if len(opacities) == 1 and image.fits and bool((opacities[0] + np.uint8(1) < 2).all()):
        gaps = image.without(opacities[0] == 0)
        if gaps is not None:
            return gaps
    drawn = image.pixels()
    return _interleaved([drawn[..., at] for at in range(3)], [drawn[..., 3], *opacities])


def _mapped(values: NDArray[Any], output: Output) -> Indexed:
    """One band through the steps of its range, or value by value."""
    if len(values) != 1:
        raise InvalidParameterError(
            f"colormap needs one band, not {len(values)}; choose with bands", parameter="colormap"
        )
    text = output.colormap or ""
    colours = colormaps.read(text)
    if isinstance(colours, Categories):
        own = output.rescale is None
        band = values[0] if own else _scaled(values[0], _ranges(values.dtype, 1, 1, output)[0], output.gamma)
        return Indexed(_places(band, text), colours.colours)
    limits = _ranges(values.dtype, 1, 1, output)[0] if colours.stops is None else (colours.stops[0], colours.stops[-1])
    return Indexed(_scaled(values[0], limits, output.gamma, text), colours.colours, steps=True)


def _scaled(values: NDArray[Any], limits: Range, gamma: float = 1.0, text: str = "") -> Channel:
    """Values from `limits` to 0 and 255, or to the steps of the colour map that `text` is; NaN to 0."""
    limits = (float(limits[0]), float(limits[1]))
    ramp = _ramp(text)
    top = _OPAQUE if ramp is None else len(ramp.colours) - 1
    even = gamma == 1 and (ramp is None or ramp.stops is None)
    if even and values.dtype == np.uint8 and limits == (0, top):
        return values
    if not -np.inf < limits[0] < limits[1] < np.inf:
        raise InvalidParameterError(f"rescale={limits[0]:g},{limits[1]:g} is not a range", parameter="rescale")
    if values.dtype.itemsize <= 2:
        return _looked_up(values, _table(values.dtype.newbyteorder("="), limits, gamma, text))
    if even:
        return _shares(values, limits, top)
    return _looked_up(_shares(values, limits, _FINE), _table(np.dtype(np.uint16), (0, _FINE), gamma, text, limits))


def _ramp(text: str) -> Ramp | None:
    found = colormaps.read(text) if text else None
    return found if isinstance(found, Ramp) else None


def _shares(values: NDArray[Any], limits: Range, top: int) -> NDArray[Any]:
    """Whole numbers from 0 to `top`, as far as each value is between the limits."""
    low, high = limits
    shares = np.empty(values.shape, np.uint8 if top <= _OPAQUE else np.uint16)
    rows = max(1, _BLOCK // values.shape[1])
    for at in range(0, len(values), rows):
        share = values[at : at + rows].astype(np.float64)
        # unlike clip these leave no NaN
        np.fmin(np.fmax(share, low, out=share), high, out=share)
        share -= low
        share /= high - low
        share *= top
        shares[at : at + rows] = share
    return shares


def _looked_up(values: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """By the bits of values of 8 or 16."""
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return np.asarray(table.take(native.view(f"u{native.dtype.itemsize}")))


def _domain(dtype: np.dtype[Any]) -> NDArray[Any]:
    """Every value of 8 or 16 bits, in the order of these; of bool the two that there are."""
    if dtype.kind == "b":
        return np.array([False, True])
    return np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}").view(dtype)


@lru_cache(64)
def _table(dtype: np.dtype[Any], limits: Range, gamma: float, text: str, fine: Range | None = None) -> Channel:
    """What `_scaled` makes of every value of a type.

    Args:
        fine: what the limits stand for, where the values are shares of a wider type's range.
    """
    low, high = limits
    share = (np.fmin(np.fmax(_domain(dtype).astype(np.float64), low), high) - low) / (high - low)
    if gamma != 1:
        share **= 1 / gamma
    ramp = _ramp(text)
    top = _OPAQUE if ramp is None else len(ramp.colours) - 1
    if ramp is None or ramp.stops is None:
        return (share * top).astype(np.uint8)
    begin, end = fine or limits
    steps = np.interp(begin + share * (end - begin), ramp.stops, np.linspace(0, top, len(ramp.stops)))
    return np.rint(steps).astype(np.uint8)


def _places(values: NDArray[Any], text: str) -> NDArray[Any]:
    """Numbers of the colours of values; of the last, which is transparent, where a value has none."""
    if values.dtype.itemsize <= 2:
        return _looked_up(values, _places_of(values.dtype.newbyteorder("="), text))
    return _found(values, text)


@lru_cache(64)
def _places_of(dtype: np.dtype[Any], text: str) -> NDArray[Any]:
    return _found(_domain(dtype), text)


def _found(values: NDArray[Any], text: str) -> NDArray[Any]:
    keys = colormaps.read(text)[0]
    places = np.searchsorted(keys, values)
    known = np.append(keys, np.nan)[places] == values
    return np.where(known, places, len(keys)).astype(np.uint8 if len(keys) <= _OPAQUE else np.uint16)
