"""Images of few colours: each pixel is the number of its colour."""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_MOST: Final = 256
"""Colours of a palette."""
_RUNS: Final = 2
"""Pixels that are alike in a row, on average, in images whose colours are counted: few colours come in runs."""
_LOOK: Final = 16
"""Every so many rows are looked at first."""
_MANY: Final = 16_384
"""Runs from which on the first of them tell how to count the colours of all."""
_FIRST: Final = 1024
_FEW: Final = 256
"""Pixels, or runs, that tell whether two colours are worth a try, or one channel."""
_RUNS_PER_GAP: Final = 32
"""So many runs take about ten times the three bytes of a colour of the palette that does not occur."""
OPAQUE: Final = 255
_NONE: Final = np.roll(np.arange(_MOST, dtype=np.uint32), 1) << np.arange(0, 32, 8, dtype=np.uint32)[:, np.newaxis]
"""(4, 256): of each channel and value what no colour is that has this value there; opaque, which takes no room."""
_NONE[:3] |= np.uint32(OPAQUE << 24)


class Indexed(NamedTuple):
    """An image with its palette."""

    numbers: NDArray[Any]
    """(height, width): uint8, or uint16 where there are more colours than a PNG's palette has room for."""
    colours: NDArray[np.uint8]
    """(colours, 4): RGBA."""
    steps: bool = False
    """Whether neighbouring numbers are neighbouring colours."""

    def packed(self) -> tuple[int, NDArray[np.uint8]]:
        """Bits of a number, as few as will do, and the rows of bytes that these fill from their highest bit on."""
        bits = next(each for each in (1, 2, 4, 8) if len(self.colours) <= 1 << each)
        if bits == 8:
            return bits, self.numbers
        if bits == 1:
            return bits, np.packbits(self.numbers, axis=1)
        height, width = self.numbers.shape
        each = 8 // bits
        spread = np.zeros((height, -(-width // each) * each), np.uint8)
        spread[:, :width] = self.numbers
        rows = np.zeros((height, spread.shape[1] // each), np.uint8)
        for at in range(each):
            rows |= spread[:, at::each] << 8 - bits * (at + 1)
        return bits, rows

    def alphas(self) -> bytes:
        """How opaque the colours are, up to the last that is not wholly."""
        return self.colours[:, 3].tobytes().rstrip(bytes([OPAQUE]))

    def pixels(self) -> NDArray[np.uint8]:
        """(height, width, 4)."""
        words = np.ascontiguousarray(self.colours).view(np.uint32)[:, 0].take(self.numbers)
        return words.view(np.uint8).reshape(*self.numbers.shape, 4)

    @property
    def fits(self) -> bool:
        """Whether a PNG's palette has room for the colours."""
        return len(self.colours) <= _MOST

    def between(self, low: int, high: int) -> "Indexed":
        """The image without the colours below the number `low` and above `high`, which do not occur."""
        numbers = self.numbers - self.numbers.dtype.type(low) if low else self.numbers
        return self._replace(numbers=numbers, colours=self.colours[low : high + 1])

    def without(self, gaps: NDArray[np.bool_]) -> "Indexed | None":
        """The image, transparent at `gaps`; None where all numbers are taken."""
        seen = self.numbers[~gaps].tobytes()
        free = next((number for number in range(_MOST) if number not in seen), None)
        if free is None:
            return None
        colours = np.zeros((max(len(self.colours), free + 1), 4), np.uint8)
        colours[: len(self.colours)] = self.colours
        colours[free] = 0
        return self._replace(numbers=np.where(gaps, np.uint8(free), self.numbers), colours=colours)


def of(pixels: NDArray[Any], *, thoroughly: bool = False) -> Indexed | None:
    """An image with a palette, where it has few colours and that takes less room; None elsewhere.

    Args:
        pixels: (height, width, 1 to 4).
        thoroughly: whether to count the colours, too, where they change often.
    """
    height, width, channels = pixels.shape
    if pixels.dtype != np.uint8 or (channels < 3 and not thoroughly):
        return None
    quickly = channels == 4 or thoroughly  # elsewhere it takes time to make words of pixels
    if not quickly and _changes(pixels[::_LOOK, :, 0].ravel()) > height * width // (_LOOK * _RUNS):
        return None
    words = _words(pixels)
    coded = _of_two(words) or _of_runs(words, _MOST if channels > 2 else _MOST // 16, thoroughly=thoroughly)
    return coded and Indexed(coded[0].reshape(height, width), coded[1].view(np.uint8).reshape(-1, 4))


_Coded = tuple[NDArray[np.uint8], NDArray[np.uint32]]
"""Of each word the number of its colour, and the colours."""


def _of_two(words: NDArray[np.uint32]) -> _Coded | None:
    """Of two colours, without a look at their runs."""
    if len(set(words[:: len(words) // _FEW | 1].tolist())) > 2:
        return None
    other = words != words[0]
    colours = words[[0, other.argmax()]]
    return (other.view(np.uint8), colours) if ((words == colours[1]) == other).all() else None


def _of_runs(words: NDArray[np.uint32], most: int, *, thoroughly: bool) -> _Coded | None:
    (ends,) = _last_of_runs(words).nonzero()  # not counted before: of sparse images that is a sixteenth
    if not thoroughly and len(ends) > max(words.size // _RUNS, 1):  # one run is few in any image
        return None
    runs = words.take(ends)
    many = len(runs) > _MANY
    told = _by_channel(runs, many=many)
    if not told and many and len(_arrow(runs[:_FIRST]).unique()) > most:
        return None
    if told and not thoroughly and len(told.colours) > _MOST // 16 and told.gaps <= len(runs) // _RUNS_PER_GAP:
        return _bytes(words, told.channel), told.table[: told.last + 1]  # with gaps, and faster than to repeat by half
    numbers, colours = told.numbers() if told else _counted(runs)
    return (numbers.repeat(_lengths(ends)), colours) if len(colours) <= most else None


class _Told(NamedTuple):
    """Colours that one of their channels tells apart."""

    channel: int
    places: NDArray[np.intp]
    """Of each run the value there."""
    table: NDArray[np.uint32]
    """(256): the colour that has this value there."""
    taken: NDArray[np.bool_]
    """(256): whether there is one."""

    @property
    def colours(self) -> NDArray[np.uint32]:
        return self.table[self.taken]

    @property
    def gaps(self) -> int:
        """Values up to the last that no colour has."""
        return self.last + 1 - int(np.count_nonzero(self.taken))

    @property
    def last(self) -> int:
        """The highest value that is taken."""
        return int(self.taken.nonzero()[0][-1])

    def numbers(self) -> _Coded:
        """Of each run, without gaps."""
        own = (self.taken.cumsum() - 1).astype(np.uint8)
        return own.take(self.places), self.colours


def _by_channel(runs: NDArray[np.uint32], *, many: bool) -> _Told | None:
    """By the first channel that does: faster than to count the colours, twice with few runs and more with many."""
    for channel in range(4):
        if not many or _told(runs[:_FEW], channel):
            found = _told(runs, channel)
            if found:
                return found
    return None


def _told(runs: NDArray[np.uint32], channel: int) -> _Told | None:
    places = _bytes(runs, channel).astype(np.intp)
    table = _NONE[channel].copy()
    table[places] = runs
    if not (table.take(places) == runs).all():
        return None
    return _Told(channel, places, table, table != _NONE[channel])


def _bytes(words: NDArray[np.uint32], channel: int) -> NDArray[np.uint8]:
    """By shifts, where there is one: two to four times as fast as by every fourth byte."""
    return (words >> np.uint32(8 * channel) if channel else words).astype(np.uint8)


def _counted(runs: NDArray[np.uint32]) -> _Coded:
    coded = _arrow(runs).dictionary_encode()
    return coded.indices.to_numpy().astype(np.uint8), coded.dictionary.to_numpy()


def _arrow(words: NDArray[np.uint32]) -> pa.Array:
    """Without a look at what the array may be of: faster than `pyarrow.array` by 40 microseconds."""
    return pa.Array.from_buffers(pa.uint32(), len(words), [None, pa.py_buffer(words)])


def _last_of_runs(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether each is the last of a run of one colour."""
    last = np.empty(len(words), bool)
    last[-1] = True
    np.not_equal(words[1:], words[:-1], out=last[:-1])
    return last


def _lengths(ends: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of runs that end there."""
    lengths = np.empty_like(ends)
    np.subtract(ends[1:], ends[:-1], out=lengths[1:])
    lengths[0] = ends[0] + 1
    return lengths


def _changes(values: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(values[1:] != values[:-1]))


def _words(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Each pixel's RGBA as one number."""
    height, width, channels = pixels.shape
    if channels == 4:
        return np.ascontiguousarray(pixels).view("<u4").ravel()
    whole = np.full((height, width, 4), OPAQUE, np.uint8)
    whole[..., :3] = pixels[..., :1] if channels < 3 else pixels
    if channels == 2:
        whole[..., 3] = pixels[..., 1]
    return whole.view("<u4").ravel()
