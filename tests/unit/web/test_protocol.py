"""Request heads that are too long or too slow, on a real server of asyncio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from tileserver.web import protocol
from tileserver.web.protocol import LIMIT, PIPELINED, LimitedProtocol

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Connection]]
GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path and the number of bytes of the body."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = scope["raw_path"][:20] + b" %d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def served(application: Any = echo) -> AsyncIterator[Connect]:
    """A server on a free port, and how to connect to it."""
    config = uvicorn.Config(application, lifespan="off", log_config=None, timeout_keep_alive=5)
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: LimitedProtocol(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await asyncio.gather(*state.tasks, return_exceptions=True)


async def said(connection: Connection, *pieces: bytes) -> bytes:
    """What the server answers to the pieces before it closes; what it no longer reads is not sent."""
    reader, writer = connection
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await reader.read()
    return b""


async def answered(connection: Connection) -> bytes:
    """One answer of the `echo` application."""
    head = await connection[0].readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
    return await connection[0].readexactly(length)


FIELD = b"X-%d: " + b"a" * 1000 + b"\r\n"
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"], b"414"),
        ([b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\n\r\n"], b"414"),
        ([b"GET /", *[b"a" * 5000] * 200], b"414"),
        ([HEAD + b"".join(FIELD % n for n in range(200)) + b"\r\n"], b"431"),
        ([HEAD, *[FIELD % n for n in range(500)]], b"431"),
        ([HEAD + b"X: ", *[b"a" * 5000] * 200], b"431"),
    ],
    ids=["one line", "just too long", "line in pieces", "one head", "fields one by one", "one endless field"],
)
def test_a_head_that_is_too_long_is_refused(pieces: list[bytes], status: bytes) -> None:
    """414 or 431 or a closed connection, in one packet as well as in many; the next connection does not notice."""

    async def check() -> None:
        async with served() as connect:
            answer = await said(await connect(), *pieces)
            assert answer.startswith(b"HTTP/1.1 " + status) or not answer
            next_one = await connect()
            next_one[1].write(GET)
            assert await answered(next_one) == b"/a 0"

    asyncio.run(check())


def test_a_head_just_below_the_limit_is_answered() -> None:
    """A line of 60 kB, in pieces."""

    async def check() -> None:
        async with served() as connect:
            connection = await connect()
            for piece in (b"GET /", *[b"a" * 6000] * 10, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"):
                connection[1].write(piece)
                await connection[1].drain()
            assert await answered(connection) == b"/" + b"a" * 19 + b" 0"

    asyncio.run(check())


def test_large_bodies_are_no_heads() -> None:
    """Two megabytes, with a length and in chunks, on one connection."""

    async def check() -> None:
        body = b"x" * 2_000_000
        chunk = b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"
        async with served() as connect:
            connection = await connect()
            connection[1].write(
                b"POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body + GET
            )
            assert await answered(connection) == b"/b 2000000"
            assert await answered(connection) == b"/a 0"
            connection[1].write(
                b"POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunk * 20
                + b"0\r\n\r\n"
                + GET
            )
            assert await answered(connection) == b"/c 2000000"
            assert await answered(connection) == b"/a 0"

    asyncio.run(check())


@pytest.mark.parametrize("endless", [b"5;x=", b"0\r\nX: "], ids=["chunk extension", "trailer"])
def test_the_frame_around_a_body_is_limited_too(endless: bytes) -> None:
    """What follows the head and is no body is cut off as a head would be."""

    async def check() -> None:
        head = b"POST /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with served() as connect:
            answer = await said(await connect(), head, endless, *[b"a" * 50_000] * 100)
            assert not answer.startswith(b"HTTP/1.1 200")

    asyncio.run(check())


def test_pipelined_requests_are_answered_in_order() -> None:
    """Ten in one packet."""

    async def check() -> None:
        async with served() as connect:
            connection = await connect()
            connection[1].write(b"".join(GET.replace(b"/a", b"/%d" % number) for number in range(10)))
            assert [await answered(connection) for _ in range(10)] == [b"/%d 0" % number for number in range(10)]

    asyncio.run(check())


def test_endlessly_many_requests_do_not_pile_up() -> None:
    """Who asks on while nothing is answered is cut off."""
    release = asyncio.Event()

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()

    async def check() -> None:
        async with served(waits) as connect:
            assert await said(await connect(), GET * (PIPELINED + 3)) == b""
            release.set()

    asyncio.run(check())


@pytest.mark.parametrize("begun", [[], [GET]], ids=["first request", "second request"])
@pytest.mark.parametrize("drip", [b"", b"GET", b"GET /a HTTP/1.1\r\nHost: loc"])
def test_a_slow_head_is_cut_off(monkeypatch: pytest.MonkeyPatch, begun: list[bytes], drip: bytes) -> None:
    """Nothing, a beginning, and a beginning on a connection that was good before."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.2)

    async def check() -> None:
        async with served() as connect:
            connection = await connect()
            for request in begun:
                connection[1].write(request)
                await answered(connection)
            if begun and not drip:
                return  # an idle connection is kept for longer
            connection[1].write(drip)
            assert await asyncio.wait_for(connection[0].read(), 4) == b""

    asyncio.run(check())


def test_dripping_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then starts no new count; others are answered meanwhile."""
    monkeypatch.setattr(protocol, "PATIENCE", 0.3)

    async def check() -> None:
        async with served() as connect:
            slow, quick = await connect(), await connect()

            async def drip() -> None:
                with contextlib.suppress(ConnectionError):
                    for byte in b"GET /" + b"a" * 1000:
                        slow[1].write(bytes([byte]))
                        await slow[1].drain()
                        await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            quick[1].write(GET)
            assert await answered(quick) == b"/a 0"
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(slow[0].read(), 4) == b""
            assert not dripping.done()
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)

    asyncio.run(check())
