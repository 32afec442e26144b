"""Files that are handed to workers: both ends of the socket keep the same list, and no other file is handed."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver import handed
from tileserver.errors import BlockGoneError
from tileserver.jobs import Stored


def stored(place: Path) -> Stored:
    """A file as it is now."""
    return Stored(str(place), 0, place.stat().st_size, handed.stamp(place.stat()))


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 10**6, 50 * 10**6, 10**9])), max_size=200))
def test_both_ends_keep_the_same(wanted: list[tuple[int, int]]) -> None:
    """Whatever is wanted: who gives knows of each file whether the other has it; there are few, or it is one."""
    giver: handed.Open[bool] = handed.Open()
    taker: handed.Open[str] = handed.Open()
    for number, size in wanted:
        file = Stored(str(number), 0, 1, (number, 0, 1), size)
        sent = giver.get(file) is None
        assert sent == (taker.get(file) is None)
        if sent:
            giver.put(file, True)
            taker.put(file, str(number))
        assert taker.get(file) == str(number)
        assert giver.get(file)


def test_what_is_not_the_file_is_not_opened(tmp_path: Path) -> None:
    """Another in its place, one that was written to, and none."""
    place = tmp_path / "block"
    place.write_bytes(b"one")
    file = stored(place)
    descriptor = handed.opened(file)
    assert os.read(descriptor, 9) == b"one"
    with pytest.raises(OSError, match="Bad file"):
        os.write(descriptor, b"x")
    os.close(descriptor)
    os.utime(place, ns=(0, file.stamp[1]))
    os.close(handed.opened(file))
    (tmp_path / "other").write_bytes(b"two")
    (tmp_path / "other").replace(place)
    for _ in range(2):
        with pytest.raises(BlockGoneError):
            handed.opened(file)
        place.unlink(missing_ok=True)
