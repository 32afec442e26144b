"""Both ends of a worker's socket for calls: what is remembered, and what a broken function may not do with it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pools import on_a_loop

from tileserver import authoring
from tileserver.errors import CallError, UdfRaisedError
from tileserver.execution import calls
from tileserver.execution.calls import MOST, CallsProtocol
from tileserver.execution.queue import Queue
from tileserver.execution.shares import Share
from tileserver.frames import CALL_LIMIT, Assembler, pack
from tileserver.jobs import Call, Called, Callee, Job, Output, Rendered
from tileserver.worker.calls import Calls


class Known:
    """Answers every call with as many bytes, once it may; a UDF named `fails` fails."""

    def __init__(self, size: int = 1) -> None:
        self.may, self.size, self.given = asyncio.Event(), size, 0

    async def call(self, call: Call, job: Job, seconds: float) -> Rendered:
        """See `calls.Answer`."""
        await self.may.wait()
        self.given += 1
        if call.name == "fails":
            raise UdfRaisedError("oh")
        callees = (Callee("a", call.name, "digest"),)
        return Rendered(media_type="application/json", kind="", body=bytes(self.size), callees=callees)

    async def current(self, callees: tuple[Callee, ...]) -> bool:
        """See `calls.Answer`."""
        return True


def job(number: int) -> Job:
    return Job(id=number, digest="", tile=None, arguments={}, output=Output(), timeout=9, limit=9)


def call(number: int, name: str = "b", *, of: int = 1) -> bytes:
    return pack(Call(id=number, job=of, name=name, arguments={}))


@contextlib.asynccontextmanager
async def connected(known: Known) -> AsyncIterator[tuple[CallsProtocol, socket.socket, Any]]:
    """The server's end, attending job 1, the worker's, and what attends another job."""
    queue = Queue(2, limit=9, hold=9, processes=9, group_limit=9)
    slot = await queue.enter("", Share())
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    loop, protocol = asyncio.get_running_loop(), CallsProtocol()
    await loop.create_unix_connection(lambda: protocol, sock=ours)
    protocol.attend(job(1), slot, known)
    with theirs:
        yield protocol, theirs, lambda number: protocol.attend(job(number), slot, known)
        protocol.close()


async def answers(theirs: socket.socket, count: int) -> list[Called]:
    """So many, in the order in which they come."""
    frames, found = Assembler(), list[Called]()
    while len(found) < count:
        piece = await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
        assert piece, "the server hears no more"
        found += [message for message, _ in frames.feed(piece) if isinstance(message, Called)]
    return found


def test_answers_rest_on_all_that_the_worker_called() -> None:
    """What a job's module remembers, the next job uses; after a failure the worker is of no use."""

    async def check() -> None:
        known = Known()
        known.may.set()
        async with connected(known) as (protocol, theirs, attend):
            for number, names in {1: "c", 2: "", 3: "bc"}.items():
                attend(number)
                theirs.send(b"".join(call(place, name, of=number) for place, name in enumerate(names)))
                await answers(theirs, len(names))
                assert "".join(callee.name for callee in protocol.dismiss()) == ("bc" if number == 3 else "c")
            assert not protocol.tainted
            attend(4)
            theirs.send(call(1, "fails", of=4))
            await answers(theirs, 1)
            assert protocol.tainted
            assert [callee.name for callee in protocol.dismiss()] == ["", "b", "c"]

    on_a_loop(check)


def test_so_many_calls_at_once_and_no_more() -> None:
    """The next is refused with a sentence, at once; the others get their answers."""

    async def check() -> None:
        known = Known()
        async with connected(known) as (protocol, theirs, _):
            theirs.send(b"".join(call(number) for number in range(MOST + 1)))
            [refused] = await answers(theirs, 1)
            assert (refused.id, refused.code) == (MOST, "call_failed")
            assert "at once" in refused.message
            assert protocol.tainted
            known.may.set()
            assert {each.id for each in await answers(theirs, MOST)} == set(range(MOST))

    on_a_loop(check)


def test_answers_that_nobody_reads_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait their turn, and all arrive when the worker reads again."""
    monkeypatch.setattr(calls, "UNREAD_LIMIT", 2**20)

    async def check() -> None:
        known = Known(2**20)
        known.may.set()
        async with connected(known) as (protocol, theirs, _):
            theirs.send(b"".join(call(number) for number in range(20)))
            while known.given < 20:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert protocol._transport is not None
            assert protocol._transport.get_write_buffer_size() < 3 * 2**20
            assert len(await answers(theirs, 20)) == 20

    on_a_loop(check)


def test_who_asks_and_never_reads_is_heard_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals cost memory too."""
    monkeypatch.setattr(calls, "UNREAD_LIMIT", 2**16)

    async def check() -> None:
        async with connected(Known()) as (protocol, theirs, _):
            flood = call(1, of=99) * 1000
            with pytest.raises(ConnectionError):
                while True:
                    await asyncio.get_running_loop().sock_sendall(theirs, flood)
            assert protocol.tainted

    on_a_loop(check)


def test_a_call_has_a_size() -> None:
    """By its head, before anything of it is kept."""

    async def check() -> None:
        async with connected(Known()) as (protocol, theirs, _):
            theirs.send(struct.pack("<II", CALL_LIMIT + 1, 0))
            assert await asyncio.get_running_loop().sock_recv(theirs, 9) == b""
            assert protocol.tainted

    on_a_loop(check)


def test_the_workers_end_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that are too large, and a server that hears no more: the function is told, and does not hang."""
    monkeypatch.setattr(authoring, "_connection", [])
    ours, theirs = socket.socketpair()
    asking = Calls(theirs.detach())
    with pytest.raises(CallError, match="1 MB"):
        asking.ask(Call(id=0, job=0, name="b", arguments={"text": ["x" * CALL_LIMIT]}))
    future = asking.ask(Call(id=0, job=0, name="b", arguments={}))
    ours.close()
    with pytest.raises(CallError, match="any more"):
        future.result(10)
    with pytest.raises(CallError, match="any more"):
        asking.ask(Call(id=0, job=0, name="b", arguments={}))
    asking._socket.close()


def test_an_answer_for_who_waits_no_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a coroutine with a time limit of its own: the next one gets its answer."""
    monkeypatch.setattr(authoring, "_connection", [])
    ours, theirs = socket.socketpair()
    asking = Calls(theirs.detach())
    first, second = (asking.ask(Call(id=0, job=0, name="b", arguments={})) for _ in range(2))
    first.cancel()
    for number in (1, 2):
        ours.sendall(pack(Called(id=number, media_type="application/json"), b"5"))
    assert second.result(10) == 5
    ours.close()
    asking._socket.close()
