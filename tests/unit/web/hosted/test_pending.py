"""Runs that outlast their request."""

import asyncio
import os
from pathlib import Path

import pytest

from tileserver.errors import ConflictError, NotFoundError
from tileserver.web.answers import Send
from tileserver.web.hosted import pending as module
from tileserver.web.hosted.pending import Pending

pytestmark = pytest.mark.anyio
NAME = "account.run-0001"


@pytest.fixture
def anyio_backend() -> str:
    """The one that the server uses."""
    return "asyncio"


async def answer(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def forever(_: Send) -> None:
    await asyncio.Event().wait()


async def accident(_: Send) -> None:
    raise ValueError("secret")


async def test_the_answer_is_told_as_it_was_sent(tmp_path: Path) -> None:
    """To another process as well, which has only the folder."""
    pending = Pending(tmp_path)
    pending.begin(NAME, b"what", answer)
    for each in (pending, pending, Pending(tmp_path)):
        whole = await each.told(NAME, 5)
        assert whole is not None
        assert (whole.status, whole.headers, whole.body) == (200, [(b"x-a", b"b")], b"one two")
    pending.begin(NAME, b"what", accident)
    again = await pending.told(NAME, 5)
    assert again is not None
    assert again.body == b"one two", "who begins the same again is told of the first"
    with pytest.raises(ConflictError):
        Pending(tmp_path).begin(NAME, b"another", answer)


async def test_an_accident_is_an_answer(tmp_path: Path) -> None:
    pending = Pending(tmp_path)
    pending.begin(NAME, b"what", accident)
    whole = await pending.told(NAME, 5)
    assert whole is not None
    assert whole.status == 500
    assert b"secret" not in whole.body


async def test_a_run_that_nobody_asks_for_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNASKED_SECONDS", 0.3)
    pending, ended = Pending(tmp_path), asyncio.Event()

    async def work(send: Send) -> None:
        try:
            await forever(send)
        finally:
            ended.set()

    pending.begin(NAME, b"what", work)
    assert await pending.told(NAME, 0.6) is None, "whoever asks keeps it going"
    await asyncio.wait_for(ended.wait(), 5)
    with pytest.raises(NotFoundError):
        await pending.told(NAME, 5)


async def test_what_was_never_begun_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await Pending(tmp_path).told(NAME, 1)


async def test_an_answer_goes_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.05)
    pending = Pending(tmp_path)
    pending.begin(NAME, b"what", answer)
    while any(tmp_path.iterdir()):
        await asyncio.sleep(0.01)


async def test_what_was_refused_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after; until then it is refused as before."""
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.05)
    pending = Pending(tmp_path)

    async def busy(send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    pending.begin(NAME, b"what", busy)
    whole = await pending.told(NAME, 5)
    assert whole is not None
    assert whole.status == 503
    async with asyncio.timeout(5):
        while any(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
    pending.begin(NAME, b"what", answer)
    whole = await pending.told(NAME, 5)
    assert whole is not None
    assert whole.status == 200


async def test_what_a_dead_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    """The run is not found, and its files are removed once they are old."""
    mark = tmp_path / f"{NAME}.mark"
    mark.touch()
    with pytest.raises(NotFoundError):
        await Pending(tmp_path).told(NAME, 1)
    assert mark.exists()
    os.utime(mark, (0, 0))
    Pending(tmp_path)
    assert not mark.exists()


async def test_what_the_last_start_left_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be asked for until it is as old as any; the next run sees to it."""
    mark = tmp_path / "account.left.mark"
    mark.touch()
    pending = Pending(tmp_path)
    pending.begin("account.early", b"what", answer)
    assert mark.exists()
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    pending.begin("account.late", b"what", answer)
    assert not mark.exists()
