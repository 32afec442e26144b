"""The tile cache: what is stored comes back, what is damaged does not, and the bounds hold."""

import asyncio
import fcntl
import mmap
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.bans import Bans, of_bounds
from tileserver.environment import environment
from tileserver.jobs import Output
from tileserver.tilecache import Entry, Facts, Flights, Key, Terms, TileCache, etag, keys, layer_key
from tileserver.tilecache.disk import DiskTier
from tileserver.tilecache.entry import look, read, write
from tileserver.tilecache.keys import path
from tileserver.tilecache.memory import MemoryTier
from tileserver.tilecache.room import Listing
from tileserver.tiles import Bounds, Tile


def entry(body: bytes = b"body", *, epoch: int = 0, created: float | None = None) -> Entry:
    when = time.time() if created is None else created
    facts = Facts(media_type="image/png", coding="", etag=etag(body), created=when, epoch=epoch)
    return Entry(facts=facts, body=body)


def terms(epoch: int, max_age: int) -> Terms:
    """Under which everything before an epoch is cleared."""
    return Terms(Bans(epoch=epoch, floor=epoch), max_age)


@given(st.binary(), st.text(), st.integers(0, 2**60))
def test_an_entry_comes_back_as_it_was_stored(body: bytes, media_type: str, epoch: int) -> None:
    """Facts and body survive the stored form."""
    kept = entry(body, epoch=epoch)
    kept = Entry(facts=msgspec.structs.replace(kept.facts, media_type=media_type), body=body)
    again = read(write(kept))
    assert again is not None
    assert (again.facts, again.body) == (kept.facts, kept.body)


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 7])
def test_a_large_body_comes_back_as_it_was(size: int, tmp_path: Path) -> None:
    """Also a mapped one, as a worker leaves it; it is copied in pieces, so that other threads go on."""
    place = tmp_path / "body"
    place.write_bytes(body := random.Random(size).randbytes(size))
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        stored = write(Entry(facts=entry(body).facts, body=mapped))  # type: ignore[arg-type]
    for found in (read(stored), read(memoryview(b"name" + stored)[4:])):
        assert found is not None
        assert found.body == body


def test_every_damaged_byte_is_a_miss(tmp_path: Path) -> None:
    """Flip any bit, cut anywhere: the entry is not there, and nothing is raised."""
    stored, place = write(entry(b"x" * 40)), tmp_path / "entry"
    for index in range(len(stored)):
        damaged = bytearray(stored)
        damaged[index] ^= 1 << random.Random(index).randrange(8)
        for wrong in (bytes(damaged), stored[:index]):
            place.write_bytes(wrong)
            assert read(wrong) is None
            assert look(place) is None


def test_a_damaged_file_is_removed(tmp_path: Path) -> None:
    """The disk tier cleans up what does not check."""
    tier = DiskTier(tmp_path, 10**6)
    key = Key("l" * 26, 5, 3, 4)
    tier.put(key, entry())
    assert tier.get(key) is not None
    place = tmp_path / path(key)
    place.write_bytes(b"TSE1 nonsense")
    assert tier.get(key) is None
    assert not place.exists()


def test_the_disk_tier_keeps_its_limit(tmp_path: Path) -> None:
    """Ten times the limit is written; what is left is below it."""
    tier = DiskTier(tmp_path, 200_000)
    for index in range(200):
        tier.put(Key("layer" * 5, 8, index, 0), entry(bytes(10_000)))
        settle()
    assert used(tmp_path) <= 210_000


def test_no_tile_waits_for_room(tmp_path: Path) -> None:
    """It is made beside, by one process at a time: here another one has its hand on the folder."""
    tier = DiskTier(tmp_path, 200_000)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    for index in range(40):
        tier.put(Key("layer" * 5, 8, index, 0), entry(bytes(10_000)))
    assert used(tmp_path) > 400_000
    assert sum(thread.name == "make room" for thread in threading.enumerate()) == 1
    os.close(descriptor)
    settle()
    assert used(tmp_path) <= 160_000


def test_two_that_make_room_at_once_make_it_once(tmp_path: Path) -> None:
    """The second finds that the first has done it."""
    tiers = [DiskTier(tmp_path, 2_000_000) for _ in range(4)]
    for index in range(1000):
        place = tmp_path / path(Key("layer" * 5, 10, index, 0))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes(2_000))
    with ThreadPoolExecutor(4) as pool:
        left = list(pool.map(DiskTier.make_room, tiers))
    assert left == [used(tmp_path)] * 4
    assert 1_590_000 < left[0] <= 1_600_000


def test_what_was_read_longest_ago_goes_first(tmp_path: Path) -> None:
    """Mostly: of two drawn at random the older one."""
    for when in range(4000):
        place = tmp_path / f"{when % 7}" / f"{when}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(bytes(when % 3 * 3000))
        os.utime(place, (when, when))
    listing = Listing(str(tmp_path))
    order = list(listing.losers())
    assert sum(size for _, size in order) == listing.used >= used(tmp_path)
    names = [int(Path(place).name) for place, _ in order]
    assert sorted(names) == list(range(4000)) == list(range(len(listing)))
    assert sum(names[:400]) / 400 < 1600


def settle() -> None:
    """Wait until there is room."""
    for thread in threading.enumerate():
        if thread.name == "make room":
            thread.join()


def used(folder: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def test_a_disk_that_fails_is_a_miss(tmp_path: Path) -> None:
    """A file stands where the folder should be: nothing is stored, nothing is raised."""
    (tmp_path / "v1").write_text("in the way")
    tier = DiskTier(tmp_path, 10**6)
    tier.put(Key("a" * 26, 0, 0, 0), entry())
    assert tier.get(Key("a" * 26, 0, 0, 0)) is None


FULL = """
import resource, sys, time
from pathlib import Path
from tileserver.tilecache import Entry, Facts, Key, etag
from tileserver.tilecache import keys
from tileserver.tilecache.disk import DiskTier

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
tier, key = DiskTier(Path(sys.argv[1]), 10**6), Key("a" * 26, 5, 3, 4)
for body in (b"little", bytes(5000)):
    facts = Facts(media_type="image/png", coding="", etag=etag(body), created=time.time(), epoch=0)
    tier.put(key, Entry(facts=facts, body=body))
print(tier.get(key).body.decode(), len([each for each in Path(sys.argv[1]).rglob("*") if each.is_file()]))
"""


def test_a_disk_that_is_full_keeps_what_it_has(tmp_path: Path) -> None:
    """Half of an entry is nowhere: neither in the place of one that was there, nor beside it."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["little", "1"], done.stderr


def test_another_environment_is_another_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As is another output; the same again is the same."""

    def key(size: int) -> str:
        return layer_key("digest", "udf", {"a": 1}, Output(size=size))

    assert key(256) == key(256) != key(512)
    before = key(256)
    monkeypatch.setattr(keys, "environment", lambda: "another")
    assert key(256) != before


def test_the_environment_is_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library more, or another version of one."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), str(tmp_path / "nowhere")])
    told = set()
    for name in ("", "some-1.0.dist-info", "some-1.1.dist-info"):
        if name:
            (tmp_path / name).mkdir()
        told.add(environment.__wrapped__())
    assert len(told) == 3


def test_the_memory_tier_keeps_its_limit() -> None:
    """Least recently used entries go; one that is too large for the tier is not taken."""
    tier = MemoryTier(100_000)
    for index in range(100):
        tier.put(Key("a", 9, index, 0), entry(bytes(5_000)), "one")
        tier.get(Key("a", 9, 0, 0))
    tier.put(Key("b", 0, 0, 0), entry(bytes(50_000)), "one")
    assert 80_000 < tier.used <= 100_000
    assert tier.get(Key("a", 9, 99, 0)) is not None
    assert tier.get(Key("a", 9, 0, 0)) is not None
    assert tier.get(Key("a", 9, 1, 0)) is None
    assert tier.get(Key("b", 0, 0, 0)) is None
    assert tier.evicted == 100 - len(tier)


def test_a_busy_udf_takes_no_others_memory() -> None:
    """Alone it has all of it; what others put then takes its place, down to half."""
    tier = MemoryTier(100_000)
    for index in range(100):
        tier.put(Key("busy", 9, index, 0), entry(bytes(3_500)), "busy")
    alone = len(tier)
    assert tier.used > 90_000
    for index in range(5):
        tier.put(Key("calm", 9, index, 0), entry(bytes(3_500)), "calm")
    for index in range(100, 300):
        tier.put(Key("busy", 9, index, 0), entry(bytes(3_500)), "busy")
    assert all(tier.get(Key("calm", 9, index, 0)) for index in range(5))
    assert len(tier) == alone
    for index in range(5, 300):
        tier.put(Key("calm", 9, index, 0), entry(bytes(3_500)), "calm")
    left = [sum(tier.get(Key(name, 9, index, 0)) is not None for index in range(300)) for name in ("busy", "calm")]
    assert sum(left) == alone
    assert abs(left[0] - left[1]) <= 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 12_000), st.booleans()), max_size=60))
def test_the_memory_tier_counts_right(steps: list[tuple[int, int, int, bool]]) -> None:
    """Whatever is put, again and larger, looked at and dropped."""
    tier = MemoryTier(60_000)
    for place, owner, size, dropped in steps:
        key = Key("a", 9, place, 0)
        if dropped:
            tier.drop(key)
        else:
            tier.put(key, entry(bytes(size)), str(owner))
        there = [kept for each in range(10) if (kept := tier.get(Key("a", 9, each, 0)))]
        assert tier.used == sum(kept.weight for kept in there) <= 60_000
        assert len(tier) == len(there)


def test_entries_age_and_are_cleared_by_epoch(tmp_path: Path) -> None:
    """Neither an entry from before a clearing nor one older than the asker allows is served, from either tier."""

    async def check() -> None:
        cache = TileCache(tmp_path, memory=10**6, disk=10**6)
        key = Key("c" * 26, 1, 1, 1)
        await cache.store(key, entry(epoch=4, created=time.time() - 11), terms(0, 60))
        assert cache.hit(key, terms(4, 60)) is not None
        assert await cache.find(key, terms(4, 60)) is not None
        for epoch, max_age in ((5, 60), (4, 10), (4, 0)):
            assert cache.hit(key, terms(epoch, max_age)) is None
            assert await cache.find(key, terms(epoch, max_age)) is None

    asyncio.run(check())


@pytest.mark.parametrize(("ahead", "served"), [(30, True), (3600, False)])
def test_an_entry_from_the_future_is_not_fresh(tmp_path: Path, ahead: float, served: bool) -> None:
    """But by the little that clocks differ; and to who takes none that is kept it never is."""

    async def check() -> None:
        cache = TileCache(tmp_path, memory=10**6, disk=10**6)
        key, old = Key("c" * 26, 1, 1, 1), Terms(Bans(), 10, revalidate=7200, on_error=7200)
        made = entry(created=time.time() + ahead)
        await cache.store(key, made, old)
        assert (cache.hit(key, old) is not None) == served
        assert (await cache.find(key, old) is not None) == served
        assert (old.bridges(made, key), old.rescues(made, key)) == (served, served)
        assert cache.hit(key, terms(0, 0)) is None

    asyncio.run(check())


def test_places_are_cleared_in_both_tiers(tmp_path: Path) -> None:
    """What lies in one and was made before; what does not is looked at once, and kept in memory as of now."""

    async def check() -> None:
        cache = TileCache(tmp_path, memory=10**6, disk=10**6)
        [ban] = of_bounds(Bounds(1, 1, 2, 2), range(31))
        wanted = Terms(Bans(epoch=5, floor=2, areas=(msgspec.structs.replace(ban, epoch=5),)), 60)
        inside, outside = Tile.at(1.5, 1.5, 9), Tile.at(9, 9, 9)
        for tile, epoch, served in ((inside, 4, False), (inside, 5, True), (outside, 4, True), (outside, 1, False)):
            key = Key("c" * 26, tile.z, tile.x, tile.y)
            await cache.store(key, entry(epoch=epoch), wanted)
            assert (cache.hit(key, wanted) is not None) == served
            if served:
                assert cache.memory.get(key).facts.epoch == 5  # type: ignore[union-attr]
            cache.memory.drop(key)
            assert (await cache.find(key, wanted) is not None) == served
            assert (cache.memory.get(key) is not None) == served

    asyncio.run(check())


def test_empty_tiles_answer_for_those_below(tmp_path: Path) -> None:
    """From memory and from disk, until one of both is cleared, also only at its own zoom; others do not."""

    async def check() -> None:
        cache = TileCache(tmp_path, memory=10**6, disk=10**6)
        full, empty = entry(epoch=3), entry(b"", epoch=3)
        empty = msgspec.structs.replace(empty, facts=msgspec.structs.replace(empty.facts, empty=True))
        layer, tile = "c" * 26, Tile.at(8.5, 47.4, 9)
        key = Key(layer, tile.z, tile.x, tile.y)
        for zoom, stored in ((7, full), (5, empty)):
            above = tile.ancestor(zoom)
            await cache.store(Key(layer, zoom, above.x, above.y), stored, terms(0, 60))
        place = Bounds(8.4, 47.3, 8.6, 47.5)
        for zooms, served in ((range(10, 31), True), (range(9, 10), False), (range(5, 6), False), (range(31), False)):
            [ban] = of_bounds(place, zooms)
            wanted = Terms(Bans(epoch=5, areas=(msgspec.structs.replace(ban, epoch=5),)), 60)
            for _ in range(2):
                assert (await cache.empty_above(key, wanted) is not None) == served
                cache.memory.drop(key)
        assert await cache.empty_above(key, terms(3, 60)) is not None
        assert cache.hit(key, terms(3, 60)) is not None
        for nothing in (terms(4, 60), terms(3, 0)):
            cache.memory.drop(key)
            assert await cache.empty_above(key, nothing) is None
        beside = Tile.at(-8.5, 47.4, 9)
        assert await cache.empty_above(Key(layer, beside.z, beside.x, beside.y), terms(3, 60)) is None
        for above in key.above():
            cache.memory.drop(above)
        assert await cache.empty_above(key, terms(3, 60)) is not None

    asyncio.run(check())


def test_layer_keys_differ_where_the_answer_could() -> None:
    """UDF version, owner, arguments and every field of the output specification count; order does not."""
    base = layer_key("d", "u", {"a": 1, "b": 2}, Output())
    assert base == layer_key("d", "u", {"b": 2, "a": 1}, Output())
    others = [
        layer_key("e", "u", {"a": 1, "b": 2}, Output()),
        layer_key("d", "v", {"a": 1, "b": 2}, Output()),
        layer_key("d", "u", {"a": 1, "b": "2"}, Output()),
        layer_key("d", "u", {"a": 1, "b": 2}, Output(size=512)),
        layer_key("d", "u", {"a": 1, "b": 2}, Output(formats=("png",))),
    ]
    assert len({base, *others}) == 6
    assert len(base) == 26


def test_one_flight_for_many_and_an_end_with_the_last() -> None:
    """Fifty callers cause one run; it goes on while one of them waits, and is cancelled with the last."""

    async def check() -> None:
        flights: Flights[int] = Flights()
        runs, ended = [0], asyncio.Event()
        gate = asyncio.Event()

        async def work() -> int:
            runs[0] += 1
            try:
                await gate.wait()
            except asyncio.CancelledError:
                ended.set()
                raise
            return 7

        key = Key("a", 0, 0, 0)
        callers = [asyncio.ensure_future(flights.join(key, work)) for _ in range(50)]
        await asyncio.sleep(0)
        for caller in callers[1:]:
            caller.cancel()
        gate.set()
        assert await callers[0] == (7, True)
        assert runs == [1]
        gate.clear()
        lonely = asyncio.ensure_future(flights.join(key, work))
        await asyncio.sleep(0)
        lonely.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lonely
        await asyncio.wait_for(ended.wait(), 1)

    asyncio.run(check())


def test_a_failure_reaches_every_waiter() -> None:
    """All who wait see it; the next one flies again."""

    async def check() -> None:
        flights: Flights[int] = Flights()

        async def fail() -> int:
            await asyncio.sleep(0)
            raise ValueError("no")

        key = Key("a", 0, 0, 0)
        results = await asyncio.gather(*(flights.join(key, fail) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in results] == ["no"] * 3

        async def succeed() -> int:
            return 1

        assert await flights.join(key, succeed) == (1, True)

    asyncio.run(check())


def test_what_cannot_be_read_is_forgotten_alone(tmp_path: Path) -> None:
    """A file aside, and not the older one that its key still finds."""

    key = Key("a" * 26, 5, 3, 4)

    async def check() -> None:
        cache, block = TileCache(tmp_path / "cache", memory=0, disk=10**6), Terms(Bans(), 60, block=True)
        await cache.store(key, entry(b"old", created=0.0), block)
        async with cache.aside(entry(b"new")) as aside:
            assert aside is not None
            await cache.forget(key, aside)
            assert aside.stored is not None
            assert not Path(aside.stored.path).exists()
        old = await cache.stored(key, block)
        assert old is not None
        await cache.forget(key, old)
        assert await cache.stored(key, block) is None
        await cache.close()

    asyncio.run(check())
