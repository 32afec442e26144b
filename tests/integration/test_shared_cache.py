"""Stores that servers share: real ones; what is gone, slow or lies costs misses only."""

import asyncio
import contextlib
import logging
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from leasing import KEY, TERMS
from redis import Redis
from server import UDFS, serving
from stores import memcached, needs_memcached, needs_redis, redis

from tileserver.errors import SetupError
from tileserver.settings import Settings, read
from tileserver.tilecache import Entry, Facts, Key, Terms, TileCache, etag, remote
from tileserver.tilecache.entry import MAGIC, write
from tileserver.tilecache.far_leases import SECONDS
from tileserver.tilecache.keys import slot
from tileserver.tilecache.remote import LARGEST, RemoteTier
from tileserver.tilecache.stores import first_line

OTHER = Key("b" * 26, 5, 3, 4)
pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores have time, on a machine that has something else to do: what is tested is what they say."""
    monkeypatch.setattr(remote, "_SECONDS", 5.0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    """They have as long as in a server."""
    monkeypatch.setattr(remote, "_SECONDS", 0.02)


def entry(body: bytes = b"body", created: float | None = None) -> Entry:
    when = time.time() if created is None else created
    return Entry(facts=Facts(media_type="image/png", coding="", etag=etag(body), created=when, epoch=0), body=body)


@pytest.fixture(params=["redis", "memcached", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of each kind of store."""
    if request.param == "objects":
        yield (tmp_path / "bucket").as_uri()
        return
    _ = request.getfixturevalue(f"with_{request.param}")
    with (redis if request.param == "redis" else memcached)(tmp_path) as (address, _):
        yield address


@pytest.fixture
def with_redis() -> None:
    """Skips where it is not installed."""
    if needs_redis.args[0]:
        pytest.skip(needs_redis.kwargs["reason"])


@pytest.fixture
def with_memcached() -> None:
    """The same."""
    if needs_memcached.args[0]:
        pytest.skip(needs_memcached.kwargs["reason"])


def on_hosts(folder: Path, store: str, check: Callable[[TileCache, TileCache], Awaitable[None]]) -> None:
    """Run it with the caches of two servers that share nothing else."""

    async def main() -> None:
        one, other = (TileCache(folder / name, memory=10**6, disk=10**8, beyond=[store]) for name in ("one", "other"))
        try:
            await check(one, other)
        finally:
            await one.close()
            await other.close()

    asyncio.run(main())


def test_what_one_server_makes_another_finds(store: str, tmp_path: Path) -> None:
    """With its facts; then it has it itself. What is past its age is no answer."""

    async def check(one: TileCache, other: TileCache) -> None:
        assert await other.find(KEY, TERMS) is None
        await one.store(KEY, entry(), TERMS)
        await one.store(OTHER, entry(created=time.time() - 4000), TERMS)
        await one.close()
        found = await other.find(KEY, TERMS)
        assert found is not None
        assert (found.body, found.facts.etag, found.tier) == (b"body", etag(b"body"), other.beyond[0].kind)
        assert other.hit(KEY, TERMS) is not None
        assert await other.find(OTHER, TERMS) is None
        assert await other.stored(OTHER, TERMS) is not None
        await other.close()
        assert other.disk.get(KEY) is not None

    on_hosts(tmp_path, store, check)


def test_a_block_comes_as_a_file(store: str, tmp_path: Path) -> None:
    """Its body is left where workers read it."""

    async def check(one: TileCache, other: TileCache) -> None:
        block = Terms(TERMS.bans, 3600, "one", block=True)
        await one.store(KEY, entry(b"x" * 500_000), block)
        await one.close()
        found = await other.look(KEY, block)
        assert found is not None
        assert found.stored is not None
        assert Path(found.stored.path).read_bytes()[found.stored.offset :] == b"x" * 500_000
        assert other.memory.get(KEY) is None

    on_hosts(tmp_path, store, check)


def test_an_old_block_comes_as_a_file_too(store: str, tmp_path: Path) -> None:
    """To who takes what is past its age, and once for all who ask at once; nobody else gets it, nor what is older."""

    async def check(one: TileCache, other: TileCache) -> None:
        block = Terms(TERMS.bans, 3600, "one", on_error=3600, block=True)
        body = b"x" * 500_000
        await one.store(KEY, entry(body, created=time.time() - 4000), block)
        await one.store(OTHER, entry(created=time.time() - 8000), block)
        await one.close()
        assert await other.look(KEY, block) is None
        assert await other.stored(OTHER, block) is None
        found = await asyncio.gather(*(other.stored(KEY, block) for _ in range(8)))
        files = {each.stored.path for each in found if each is not None and each.stored is not None}
        assert [Path(file).read_bytes().endswith(body) for file in files] == [True]
        assert {each.body for each in found if each is not None} == {b""}
        assert other.disk.written < 2 * len(body)
        assert await other.look(KEY, block) is None
        assert other.memory.get(KEY) is None

    on_hosts(tmp_path, store, check)


def test_large_answers_are_for_object_stores(store: str, tmp_path: Path) -> None:
    """What would fill a memory is not there, and breaks nothing."""

    async def check(one: TileCache, other: TileCache) -> None:
        body = bytes(range(256)) * 40_000
        await one.store(KEY, entry(body), TERMS)
        await one.store(OTHER, entry(), TERMS)
        await one.close()
        found = await other.find(KEY, TERMS)
        assert (found.body if found else None) == (body if other.beyond[0].kind == "objects" else None)
        assert await other.find(OTHER, TERMS) is not None

    on_hosts(tmp_path, store, check)


@needs_memcached
def test_what_is_too_large_is_not_sent(tmp_path: Path) -> None:
    """To a Memcached as it comes: the largest that is sent it takes, and one byte more is no trouble to it."""
    room = LARGEST - len(slot(KEY)) - 1 - len(write(entry(b"")))

    async def check(one: TileCache, other: TileCache) -> None:
        for key, size in ((KEY, room), (OTHER, room + 1)):
            await one.store(key, entry(bytes(size)), TERMS)
        found = await other.find(KEY, TERMS)
        assert found is not None
        assert len(found.body) == room
        assert await other.find(OTHER, TERMS) is None
        assert (one.beyond[0].failures, other.beyond[0].failures) == (0, 0)

    with memcached(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_memcached
def test_a_store_that_takes_less_refuses_that_alone(tmp_path: Path) -> None:
    """Its owner has made it smaller: nothing waits for the next answer."""

    async def check(one: TileCache, other: TileCache) -> None:
        await one.store(KEY, entry(bytes(600_000)), TERMS)
        await one.store(OTHER, entry(), TERMS)
        assert await other.find(KEY, TERMS) is None
        assert await other.find(OTHER, TERMS) is not None
        assert (one.beyond[0].failures, other.beyond[0].failures) == (1, 0)

    with memcached(tmp_path, "-I", "512k") as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
def test_a_full_redis_is_read(tmp_path: Path) -> None:
    """It takes no more, neither entries nor leases, and gives what it has."""

    async def check(one: TileCache, other: TileCache) -> None:
        await one.store(KEY, entry(), TERMS)
        with Redis.from_url(address) as client:
            client.config_set("maxmemory", 1)
        await other.store(OTHER, entry(), TERMS)
        async with other.lease(OTHER, 60) as waited:
            assert not waited
        assert await other.find(KEY, TERMS) is not None
        assert await one.find(OTHER, TERMS) is None
        assert (one.beyond[0].failures, other.beyond[0].failures) == (0, 2)

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
def test_what_is_in_the_way_is_replaced(tmp_path: Path) -> None:
    """A list under an entry's name costs one miss, of that name."""

    async def check(one: TileCache, other: TileCache) -> None:
        with Redis.from_url(address) as client:
            client.lpush(slot(KEY), "one", "two")
        assert await one.find(KEY, TERMS) is None
        await one.store(KEY, entry(), TERMS)
        assert await other.find(KEY, TERMS) is not None

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
@pytest.mark.parametrize("harm", ["flushed", "wrong type", "garbage", "another's", "cut", "full"])
def test_a_store_that_lies_costs_misses(tmp_path: Path, harm: str) -> None:
    """Whatever it says: nothing else is served, nothing is raised, and what is stored next is found."""

    async def check(one: TileCache, other: TileCache) -> None:
        await one.store(KEY, entry(b"mine"), TERMS)
        await one.store(OTHER, entry(b"not mine"), TERMS)
        with Redis.from_url(address) as client:
            whole, name = client.get(slot(KEY)), slot(KEY)
            assert isinstance(whole, bytes)
            match harm:
                case "flushed":
                    client.flushall()
                case "wrong type":
                    client.delete(name)
                    client.lpush(name, "one", "two")
                case "garbage":
                    client.set(name, b"\xff" * 5000)
                case "another's":
                    client.rename(slot(OTHER), name)
                case "cut":
                    client.set(name, whole[:-1])
                case "full":
                    client.delete(name)
                    client.config_set("maxmemory", 1)
            assert await other.find(KEY, TERMS) is None
            assert await other.stored(KEY, TERMS) is None
            await other.store(OTHER, entry(b"again"), TERMS)
            assert (await other.find(OTHER, TERMS)) is not None

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
@pytest.mark.parametrize(
    ("wrong", "served"),
    [
        ({"media_type": "text/html"}, {"authored": True}),
        ({"media_type": "image/png\r\nSet-Cookie: a=b"}, {"media_type": "application/octet-stream", "authored": True}),
        ({"coding": "br\r\nX: y"}, {"coding": ""}),
        ({"changes": "dropped=1\r\nX: y"}, {"changes": ""}),
        ({"etag": '"another"'}, None),
        ({"created": float("inf")}, None),
        ({"created": float("nan")}, None),
        ({"created": 1e300}, None),
        ({"created": -1.0}, None),
        ({"udf_ms": float("inf")}, None),
        ({"epoch": 2**62}, None),
    ],
)
def test_a_store_that_others_write_harms_nobody(
    tmp_path: Path, wrong: dict[str, object], served: dict[str, object] | None
) -> None:
    """What it says of an answer is made harmless, or is no answer."""

    async def check(one: TileCache, other: TileCache) -> None:
        whole = entry()
        await one.beyond[0].put(KEY, Entry(facts=msgspec.structs.replace(whole.facts, **wrong), body=whole.body), 60)
        found = await other.find(KEY, TERMS)
        assert (found is None) == (served is None)
        if found is not None and served is not None:
            assert {name: getattr(found.facts, name) for name in served} == served

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


DEEP = b"\xdc\x00\x0f" + msgspec.msgpack.encode(entry().facts)[1:] + b"\x91" * 200_000
"""An array of one element more than there are facts, which newer servers may add, and that one has no end."""


@needs_redis
@pytest.mark.parametrize("facts", [b"\x9e\xa3\xff\xff\xff", DEEP, b"\xff", b""], ids=["text", "deep", "none", "empty"])
def test_facts_that_are_none_are_a_miss(tmp_path: Path, facts: bytes) -> None:
    """Though their checksum is right: no text, arrays in arrays, nothing at all."""

    async def check(one: TileCache, other: TileCache) -> None:
        head = struct.pack("<4sII", MAGIC, len(facts), zlib.crc32(facts))
        with Redis.from_url(address) as client:
            client.set(slot(KEY), slot(KEY).encode() + b"\n" + head + facts)
        assert await one.find(KEY, TERMS) is None
        assert await one.stored(KEY, TERMS) is None
        assert one.beyond[0].failures == 0

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
@pytest.mark.usefixtures("hasty")
def test_a_busy_loop_is_no_fault_of_the_store(tmp_path: Path) -> None:
    """What came in time counts, though it is read late."""

    async def check(one: TileCache, _: TileCache) -> None:
        tier = one.beyond[0]
        tier.guard._seconds = 5.0
        await tier.put(KEY, entry(), 60)
        tier.guard._seconds = 0.1
        for turns in range(2, 10):  # some of them end while it is on its way
            found = asyncio.create_task(tier.get(KEY))
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.25)
            assert await found is not None
        assert tier.failures == 0

    with redis(tmp_path) as (address, _):
        on_hosts(tmp_path, address, check)


@needs_redis
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_store_that_is_gone_or_stuck_is_left_alone(
    tmp_path: Path, end: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred look-ups and stores ask it once, of each lock once too; later it is asked again, and answers."""

    async def check(one: TileCache, other: TileCache) -> None:
        one.beyond[0].guard._seconds = 5.0
        await one.store(KEY, entry(), TERMS)
        os.kill(process.pid, end)
        for _ in range(100):
            assert await other.find(KEY, TERMS) is None
            async with other.lease(OTHER, 60) as waited:
                assert not waited
            await other.store(OTHER, entry(), TERMS)
        assert other.beyond[0].failures == 1
        assert len(caplog.records) == 1
        if end == signal.SIGSTOP:
            os.kill(process.pid, signal.SIGCONT)
            while await other.find(KEY, TERMS) is None:
                await asyncio.sleep(0.05)

    caplog.set_level(logging.WARNING, "tileserver.tilecache")
    with redis(tmp_path) as (address, process):
        on_hosts(tmp_path, address, check)


@contextlib.contextmanager
def hosts(count: int, folder: Path, store: str, seconds: float) -> Iterator[list["subprocess.Popen[str]"]]:
    """Hosts of their own, which begin to ask once all are connected; each run is a line of `log` in the folder."""
    script = str(Path(__file__).with_name("leasing.py"))
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(count):
            arguments = [tempfile.mkdtemp(dir=folder), store, str(folder / "log"), "50", str(seconds)]
            command = [sys.executable, script, *arguments]
            host = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.append(stack.enter_context(host))
            stack.callback(host.kill)
        for host in started:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
        for host in started:
            assert host.stdin is not None
            host.stdin.write("\n")
            host.stdin.flush()
        yield started


def answers(started: list["subprocess.Popen[str]"]) -> list[list[str]]:
    """What each host was told, without what is told twice."""
    return [host.communicate(timeout=60)[0].split() for host in started]


@needs_redis
@pytest.mark.parametrize("seconds", [0.3, 2.5 * SECONDS])
def test_hosts_run_once(tmp_path: Path, seconds: float) -> None:
    """Two hundred requests of four hosts are one run, also one that takes longer than a lease holds."""
    with redis(tmp_path) as (address, _), hosts(4, tmp_path, address, seconds) as four:
        told = answers(four)
    [run] = (tmp_path / "log").read_text().split()
    assert told == [[run]] * 4


@needs_redis
def test_a_host_that_is_killed_costs_one_more_run(tmp_path: Path) -> None:
    """Once its lease has run out."""
    log = tmp_path / "log"
    with redis(tmp_path) as (address, _), Redis.from_url(address) as client, hosts(1, tmp_path, address, 60) as [first]:
        while not log.exists():
            time.sleep(0.01)
        known = {each["id"] for each in client.client_list()}
        with hosts(3, tmp_path, address, 0.3) as others:
            while sum(each["cmd"] == "set" and each["id"] not in known for each in client.client_list()) < 3:
                time.sleep(0.01)  # until all of them wait
            first.kill()
            told = answers(others)
    runs = log.read_text().split()
    assert len(runs) == 2
    assert told == [[runs[1]]] * 3


@needs_redis
def test_a_server_uses_it(tmp_path: Path) -> None:
    """Without a disk of its own, and started anew: the tile is there."""
    sources = []
    with redis(tmp_path) as (address, _):
        for _ in range(2):
            arguments = ("--cache", address, "--cache-disk", "0")
            with serving(UDFS / "counted.py", data=tmp_path / "data", arguments=arguments) as server:
                url = f"{server.url}/tiles/{server.token('counted')}/3/2/1.png?log={tmp_path}/log"
                answers = [httpx.get(url) for _ in range(2)]
                assert {each.status_code for each in answers} == {200}
                sources += [each.headers["cache-status"].rpartition("detail=")[2] for each in answers]
    assert sources == ["run", "memory", "redis", "memory"]


@pytest.mark.parametrize("address", ["http://host", "nothing", "ftp://host/x", "", "127.0.0.1:6379", "me:pw@host:1"])
def test_other_addresses_are_refused(address: str) -> None:
    """In a sentence that names those that can be."""
    with pytest.raises(SetupError, match=r"an address begins with redis://.*valkey://.*or file://") as told:
        RemoteTier(address)
    assert "pw" not in str(told.value)
    assert address.rpartition("@")[2].partition("//")[0] in str(told.value)


@pytest.mark.parametrize(
    "address", ["redis://", "rediss:///0", "valkey://host/abc", "unix://", "redis://h:x", "redis://h?db=x"]
)
def test_addresses_of_redis_that_name_no_place_are_refused(address: str) -> None:
    """At the start, where somebody reads it."""
    with pytest.raises(SetupError, match=f"the cache '{address.partition(':')[0]}://'"):
        RemoteTier(address)


def test_what_an_object_store_says_is_a_line(tmp_path: Path) -> None:
    """At the start; its library would tell pages."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(SetupError) as told:
        RemoteTier((tmp_path / "taken" / ("long" * 50)).as_uri())
    assert len(str(told.value).splitlines()) == 1
    assert first_line(ValueError("one\n\nDebug source:\nGeneric {")) == "one"
    assert len(first_line(ValueError("long" * 1000))) == 200


def test_a_server_without_such_a_store_does_not_start(tmp_path: Path) -> None:
    """One line says why."""
    command = [sys.executable, "-m", "tileserver", "serve", str(UDFS / "shades.py"), "--port", "0"]
    more = ["--data-dir", str(tmp_path), "--cache", "ftp://host"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "tileserver: the cache 'ftp://' is of no known kind" in done.stderr + done.stdout
    assert read({"cache": "redis://a, file:///b"}).cache == ("redis://a", "file:///b")
    assert Settings().cache == ()
