"""Values to colours: ranges, colour maps, transparency."""

from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from tileserver.errors import InvalidParameterError
from tileserver.jobs import Output

Masked = np.ma.MaskedArray[Any, Any]
Pixels = NDArray[np.uint8]
Range = tuple[float, float]

_OPAQUE: Final = 255


def pixels(bands: Masked, output: Output) -> Pixels:
    """(height, width, channels) of uint8: grey, grey + alpha, RGB or RGBA; alpha only where something is transparent.

    8 bits are shown as they are, bool as 0 and 255. Other types run from 0 to 255 over `output.rescale`, else over the
    type's nominal range (integers) or 0 to 1 (floats), cut off below the decimal point as rio-tiler does. A pixel is
    transparent where none of its colour bands has a value; a second or fourth band is alpha.

    Args:
        bands: (1 to 4, height, width), masked where there is no value.
        output: `rescale` and `colormap` count.

    Raises:
        InvalidParameterError: `rescale` or `colormap` does not fit.
    """
    colours = bands if len(bands) in (1, 3) else bands[:-1]
    valid = ~np.ma.getmaskarray(colours).all(axis=0)
    if output.colormap is not None:
        drawn = _mapped(colours, output)
    else:
        drawn = np.stack([_scaled(band, limits) for band, limits in _ranges(bands, len(colours), output)], axis=-1)
    if len(colours) < len(bands):
        drawn = with_alpha(drawn, _alpha(bands[-1], bands, output))
    return drawn if valid.all() else with_alpha(drawn, np.where(valid, np.uint8(_OPAQUE), np.uint8(0)))


def with_alpha(drawn: Pixels, alpha: Pixels) -> Pixels:
    """Pixels that are as opaque as `alpha` (height, width) and their own alpha together; black where transparent."""
    if drawn.shape[2] in (2, 4):
        alpha = (drawn[..., -1].astype(np.uint16) * alpha // _OPAQUE).astype(np.uint8)
        drawn = drawn[..., :-1]
    return np.concatenate([np.where(alpha[..., np.newaxis] > 0, drawn, np.uint8(0)), alpha[..., np.newaxis]], axis=-1)


def nominal(dtype: np.dtype[Any]) -> Range:
    """The values of a data type that become 0 and 255."""
    if dtype.kind in "fb":
        return 0.0, 1.0
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _ranges(bands: Masked, colours: int, output: Output) -> list[tuple[Masked, Range]]:
    given = output.rescale or (nominal(bands.dtype),)
    if len(given) not in (1, colours, len(bands)):
        raise InvalidParameterError(f"rescale has {len(given)} ranges for {len(bands)} bands", parameter="rescale")
    return list(zip(bands[:colours], given * colours if len(given) == 1 else given, strict=False))


def _alpha(band: Masked, bands: Masked, output: Output) -> Pixels:
    """`rescale` counts for it only where it names every band, and never for 8 bits."""
    own = output.rescale is not None and 1 < len(output.rescale) == len(bands) and band.dtype != np.uint8
    return _scaled(band, output.rescale[-1] if own and output.rescale else nominal(band.dtype))


def _scaled(band: Masked, limits: Range) -> Pixels:
    """Values from `limits` to 0 and 255; 0 where there is none."""
    low, high = limits
    values = np.ma.getdata(band)
    if band.dtype == np.uint8 and limits == (0, _OPAQUE):
        scaled = values
    else:
        if not -np.inf < low < high < np.inf:
            raise InvalidParameterError(f"rescale={low:g},{high:g} is not a range", parameter="rescale")
        share = (np.clip(values.astype(np.float64), low, high) - low) / (high - low)
        scaled = np.nan_to_num(share * _OPAQUE, copy=False).astype(np.uint8)
    return np.where(np.ma.getmaskarray(band), np.uint8(0), scaled)


def _mapped(bands: Masked, output: Output) -> Pixels:
    """RGBA of one band: through 256 steps of its range, or value by value."""
    if len(bands) != 1:
        raise InvalidParameterError(
            f"colormap needs one band, not {len(bands)}; choose with bands", parameter="colormap"
        )
    text = output.colormap or ""
    if text.lstrip().startswith("{"):
        band = bands[0] if output.rescale is None else _scaled(*_ranges(bands, 1, output)[0])
        return _by_value(np.ma.getdata(band), _parsed(text))
    return _named(text)[_scaled(*_ranges(bands, 1, output)[0])].view(np.uint8).reshape(*bands.shape[1:], 4)


def _named(name: str) -> NDArray[np.uint32]:
    """256 colours, each four bytes in one number: one look-up per pixel."""
    from rio_tiler.colormap import cmap
    from rio_tiler.errors import InvalidColorMapName

    try:
        colours = cmap.get(name)
    except (InvalidColorMapName, KeyError):
        raise InvalidParameterError(f"colormap={name} is not known", parameter="colormap") from None
    return np.array([colours[step] for step in range(256)], np.uint8).view(np.uint32)[:, 0]


def _parsed(text: str) -> dict[float, bytes]:
    try:
        return {float(value): _rgba(colour) for value, colour in orjson.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        message = 'colormap is neither a name nor an object {value: "#rrggbb"}'
        raise InvalidParameterError(message, parameter="colormap") from None


def _rgba(colour: str) -> bytes:
    rgba = bytes.fromhex(colour.removeprefix("#"))
    if len(rgba) not in (3, 4):
        raise ValueError(colour)
    return rgba if len(rgba) == 4 else rgba + bytes([_OPAQUE])


def _by_value(values: NDArray[Any], colours: dict[float, bytes]) -> Pixels:
    """Transparent where a value has no colour."""
    table = np.frombuffer(b"".join(colours[key] for key in sorted(colours)) + bytes(4), np.uint32)
    keys = np.array(sorted(colours), np.float64)
    place = np.searchsorted(keys, values)
    found = np.append(keys, np.nan)[place] == values
    drawn: Pixels = table[np.where(found, place, len(keys))].view(np.uint8).reshape(*values.shape, 4)
    return drawn
