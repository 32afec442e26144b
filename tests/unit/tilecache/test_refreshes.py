"""What is made in the background, what is remembered of failures, and on what terms an entry is served."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from tileserver.bans import Bans
from tileserver.errors import BY_CODE, TileserverError, UdfRaisedError
from tileserver.tilecache import Entry, Facts, Failures, Key, Refreshes, Terms
from tileserver.tilecache import failures as failing

KEY, OTHER = Key("a", 1, 0, 0), Key("a", 1, 1, 0)


def test_one_for_a_key_and_few_at_once() -> None:
    """What ends makes room, however it ends."""

    async def check() -> None:
        refreshes, gate, begun = Refreshes(), asyncio.Event(), []

        async def work(name: str) -> None:
            begun.append(name)
            await gate.wait()
            raise ValueError(name)

        for name, key in (("one", KEY), ("again", KEY), ("other", OTHER), ("third", Key("b", 0, 0, 0))):
            refreshes.begin(key, lambda name=name: work(name), 2)  # type: ignore[misc]
        await asyncio.sleep(0)
        assert begun == ["one", "other"]
        gate.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refreshes.begin(KEY, lambda: work("again"), 2)
        gate.clear()
        await asyncio.sleep(0)
        assert begun == ["one", "other", "again"]
        await refreshes.close()

    asyncio.run(check())


def test_failures_are_remembered_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that took a worker's time or life for longer; of an earlier generation none."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    known = Failures()
    known._known = failing.TLRUCache(10, failing._until, timer=lambda: now[0])
    errors = {code: TileserverError.__new__(BY_CODE[code]) for code in ("udf_raised", "udf_timed_out", "udf_crashed")}
    for code, error in errors.items():
        known.add(Key(code, 0, 0, 0), error, 7)
    for later, expected in ((4.9, errors.keys()), (5.1, {"udf_timed_out", "udf_crashed"}), (30.1, set())):
        now[0] = 100 + later
        assert {code for code in errors if known.get(Key(code, 0, 0, 0), 7)} == set(expected)
    now[0] = 101.0
    assert known.get(Key("udf_crashed", 0, 0, 0), 8) is None


def test_processes_tell_each_other_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same generation and as long as each remembers its own, whatever else is in the files."""
    ours, others = Failures(tmp_path / "told"), Failures(tmp_path / "told")
    raised = UdfRaisedError("bad tile", line=5, streams=("out", ""), spent=(1.0, 2.0, 3))
    ours.add(KEY, raised, 7)
    told = others.get(KEY, 7)
    assert isinstance(told, UdfRaisedError)
    assert vars(told) == vars(raised)
    assert (told.args, told.__traceback__) == (raised.args, None)
    assert others.get(KEY, 8) is None
    assert others.get(KEY._replace(x=1), 7) is None
    [file] = (tmp_path / "told").iterdir()
    wrong = Failures(tmp_path / "told")
    monkeypatch.setattr(failing, "_name", lambda _: file.name)
    assert wrong.get(KEY._replace(x=1), 7) is None, "it fell to the same file"
    now = time.time()
    for later, there in ((4.5, True), (5.5, False), (-3600, False)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert (others.get(KEY, 7) is not None) == there
    for junk in (b"", b"\x94", file.read_bytes()[:-1], bytes(100)):
        file.write_bytes(junk)
        assert others.get(KEY, 7) is None


def test_a_failure_that_cannot_be_told_is_remembered(tmp_path: Path) -> None:
    """As one that says very much, or where no folder can be."""
    (tmp_path / "file").touch()
    for place, text in ((tmp_path / "told", "x" * 100_000), (tmp_path / "file", "x")):
        known = Failures(place)
        known.add(KEY, UdfRaisedError(text), 7)
        assert known.get(KEY, 7) is not None
        assert Failures(place).get(KEY, 7) is None


@pytest.mark.parametrize(
    ("age", "epoch", "expected"),
    [
        (5, 1, (True, True, True)),
        (15, 1, (False, True, True)),
        (15, 0, (False, False, True)),
        (25, 1, (False, False, True)),
        (45, 1, (False, False, False)),
    ],
)
def test_terms(age: int, epoch: int, expected: tuple[bool, bool, bool]) -> None:
    """Fresh for ten seconds, bridged for ten more where it was not cleared, a rescue for thirty."""
    facts = Facts(media_type="", coding="", etag="", created=time.time() - age, epoch=epoch)
    terms, entry = Terms(Bans(epoch=1, floor=1), 10, revalidate=10, on_error=30), Entry(facts=facts, body=b"")
    assert (terms.fresh(entry), terms.bridges(entry, KEY), terms.rescues(entry, KEY)) == expected
    assert terms.is_of_use(entry) == (age < 40)
    block = msgspec.structs.replace(terms, block=True)
    assert block.rescues(entry, KEY) == (expected[2] and not expected[0]), "a tile was just not cut from a good one"
    none = Terms(Bans(), 0, revalidate=10, on_error=30)
    assert not (none.fresh(entry) or none.bridges(entry, KEY) or none.rescues(entry, KEY))
