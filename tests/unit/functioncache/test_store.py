"""Results on disk: as they were, whole or not at all, and not more than there is room for."""

import contextlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from tileserver import scratch
from tileserver.functioncache import Store, room
from tileserver.functioncache.store import Found

KEY = "0" * 48


class Plain:
    """A class that can be pickled."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain)

    __hash__ = None  # type: ignore[assignment]


def form(store: Store) -> str:
    """How a result was written."""
    return json.loads((store.folder / KEY).read_bytes().split(b"\n")[0])["form"]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([1, 2.5, "a", None, True, {"b": [2**63]}], "json"),
        ((1, 2), "pickle"),
        ({1: 2}, "pickle"),
        (float("inf"), "pickle"),
        (2**70, "pickle"),
        ("\ud800", "pickle"),
        (b"bytes", "pickle"),
        (Plain(), "pickle"),
    ],
)
def test_values_come_back_as_they_were(tmp_path: Path, value: Any, wanted: str) -> None:
    """In the plainest form that says all of it."""
    store = Store(tmp_path, 10**8)
    store.write(KEY, value)
    found = store.read(KEY, 10)
    assert found == Found(value)
    assert type(found.value) is type(value)
    assert form(store) == wanted


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.array(5, "uint8"), np.zeros((0, 2))])
def test_arrays_come_back(tmp_path: Path, array: Any) -> None:
    """As npy, with type and shape, and free to be changed."""
    store = Store(tmp_path, 10**8)
    store.write(KEY, array)
    found = store.read(KEY, 10)
    assert found is not None
    assert found.value.dtype == array.dtype
    assert found.value.tolist() == array.tolist()
    assert found.value.flags.writeable
    assert form(store) == "npy"


def test_frames_come_back(tmp_path: Path) -> None:
    """As Parquet, index and reference system too; what Parquet would change is pickled."""
    store = Store(tmp_path, 10**8)
    plain = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([5, 7], name="n"))
    features = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=3857)
    pickled = [
        pd.DataFrame({"a": [[1], [2, 3]]}),
        pd.DataFrame({0: [1]}),
        pd.DataFrame({"a": [1j]}),
        pd.DataFrame({"a": np.array([0], "M8[s]")}),
        pd.DataFrame({"a": [1]}, index=pd.Index([1], dtype=object)),
        pd.DataFrame({"a": [1]}, index=pd.date_range("2020", periods=1, freq="D")),
        geopandas.GeoDataFrame({"a": [1]}),
    ]
    forms = [(plain, "parquet"), (features, "geoparquet"), *((each, "pickle") for each in pickled)]
    for frame, wanted in forms:
        store.write(KEY, frame)
        found = store.read(KEY, 10)
        assert found is not None
        pd.testing.assert_frame_equal(pd.DataFrame(found.value), pd.DataFrame(frame))
        assert type(found.value) is type(frame)
        if wanted == "geoparquet":
            assert found.value.crs == frame.crs
        assert form(store) == wanted


def test_what_is_broken_is_not_there(tmp_path: Path) -> None:
    """Cut short, changed, or nothing of ours."""
    store = Store(tmp_path, 10**8)
    store.write(KEY, [1, 2, 3])
    whole = (tmp_path / KEY).read_bytes()
    for text in (whole[:-1], whole.replace(b"2", b"4"), b"", b"\n", b"[]\n", whole.split(b"\n")[0]):
        (tmp_path / KEY).write_bytes(text)
        assert store.read(KEY, 10) is None
    (tmp_path / KEY).write_bytes(whole)
    assert store.read(KEY, 10) == Found([1, 2, 3])
    (tmp_path / KEY).unlink()
    (tmp_path / KEY).mkdir()
    assert store.read(KEY, 10) is None
    store.write(KEY, 1)  # which fails, and is no harm
    assert [each.name for each in tmp_path.glob("*.part")] == []


def test_what_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    """A lock; and nothing is left of the attempt."""
    import threading

    store = Store(tmp_path, 10**8)
    assert "pickled" in store.write(KEY, threading.Lock())
    assert list(tmp_path.iterdir()) == []


def test_what_would_drive_out_all_others_is_not_kept(tmp_path: Path) -> None:
    """It takes more than may be left after tidying."""
    store = Store(tmp_path, 10**6)
    assert "than 800000" in store.write(KEY, bytes(900_000))
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_goes_where_there_is_too_much(tmp_path: Path) -> None:
    """What is left fits; files in folders count too."""
    store = Store(tmp_path, 10**6)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "old.bin").write_bytes(bytes(300_000))
    os.utime(tmp_path / "files" / "old.bin", (1, 1))
    for number in range(4):
        store.write(f"{number:048}", np.zeros(250_000, "uint8"))
        os.utime(tmp_path / f"{number:048}", (number + 2, number + 2))
    left = sorted(int(each.name) for each in tmp_path.glob("0*"))
    assert left == [1, 2, 3]
    assert not (tmp_path / "files" / "old.bin").exists()


def test_there_is_never_too_much(tmp_path: Path) -> None:
    """However many write at once, each with a store of its own, as workers have; what was replaced counts no more."""
    limit = 10**6

    def fill(writer: int) -> list[bool]:
        store, full = Store(tmp_path, limit), []
        for number in range(20):
            assert store.write(f"{writer}-{number % 15}", bytes(200_000 + 1000 * writer)) == ""
            with room._locked(tmp_path / ".room"):
                full.append(scratch.is_full(str(tmp_path), limit, 10**6))
        return full

    with ThreadPoolExecutor(4) as pool:
        assert not any(each for full in pool.map(fill, range(4)) for each in full)
    assert not list(tmp_path.glob("*.part"))
    assert len(list(tmp_path.glob("*-*"))) >= 3
    store = Store(tmp_path, limit)
    kept = {each.name for each in tmp_path.glob("*-*")}
    for _ in range(20):
        store.write(max(kept), bytes(200_000))
    assert {each.name for each in tmp_path.glob("*-*")} == kept


def test_small_files_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are not more of them than can be looked through; nor of those that a function wrote by itself."""
    monkeypatch.setattr(room, "_FILES", 10)
    store = Store(tmp_path, 10**8)
    for number in range(20):
        store.write(f"{number:048}", number)
        assert len(list(tmp_path.glob("0*"))) <= 10
    for number in range(20):
        with store.writing(tmp_path / "files" / f"{number}.txt") as draft:
            draft.write_text("downloaded")
        assert len([each for each in tmp_path.rglob("*") if each.is_file()]) <= 10
    assert (tmp_path / "files" / "19.txt").read_text() == "downloaded"


def test_what_functions_write_by_themselves_is_seen(tmp_path: Path) -> None:
    """When a worker begins, for one: it was in no count."""
    (tmp_path / "files").mkdir()
    for number in range(3):
        (tmp_path / "files" / f"{number}.bin").write_bytes(bytes(500_000))
        os.utime(tmp_path / "files" / f"{number}.bin", (number + 1, number + 1))
    Store(tmp_path, 10**6).tidy()
    assert [each.name for each in (tmp_path / "files").iterdir()] == ["2.bin"]


def test_a_lock_lets_go(tmp_path: Path) -> None:
    """After the time that who waits has, and when the block is over."""
    store = Store(tmp_path, 10**6)
    with store.locked("a", 5), store.locked("b", 5), store.locked("a", 0.05):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failure_lets_go(tmp_path: Path) -> None:
    """Though the file stays open elsewhere, as in a process that the block has started."""
    store = Store(tmp_path, 10**6)
    kept = []
    with contextlib.suppress(ValueError), store.locked("a", 5):
        lock = (tmp_path / "a.lock").stat()
        kept += [os.dup(each) for each in _descriptors() if os.path.samestat(os.fstat(each), lock)]
        raise ValueError
    assert len(kept) == 1
    began = time.monotonic()
    with store.locked("a", 5):
        assert time.monotonic() - began < 4
    os.close(kept[0])
    assert list(tmp_path.iterdir()) == []


def _descriptors() -> list[int]:
    """Those that are open."""
    found = []
    for each in range(1024):
        with contextlib.suppress(OSError):
            os.fstat(each)
            found.append(each)
    return found
