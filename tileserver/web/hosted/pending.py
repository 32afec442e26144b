"""Runs that outlast their request: begun by one, told to another, which may reach another process of this host.

Each is two files in a folder: a mark that is locked while it runs and touched whenever somebody asks, and its answer.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from tileserver.errors import ConflictError, NotFoundError, TileserverError
from tileserver.locks import hold, is_held
from tileserver.web.answers import Receive, Scope, Send, error_answer

_LOG: Final = logging.getLogger("tileserver.web")
KEPT_SECONDS: Final = 120
"""How long an answer is kept for whoever began the run."""
REFUSED_SECONDS: Final = 1
"""The same of one that says to try again: the SDK does, under the same name, after the two that we ask for."""
_REFUSALS: Final = frozenset({429, 503})
UNASKED_SECONDS: Final = 30
"""After which a run that nobody asks for is ended."""
_LOOK_SECONDS: Final = 0.1
"""How often who waits looks for what another process writes."""


class Whole(msgspec.Struct, frozen=True):
    """An answer, as it was sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


Work = Callable[[Send], Awaitable[None]]


class Pending:
    """The runs that somebody may ask for, by names that can be files'."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._swept = 0.0
        self._sweep()

    def begin(self, name: str, what: bytes, work: Work) -> None:
        """Run `work`, whose answer will be told under this name; who asks for the same again is told of the first.

        The SDK asks again, whenever it has heard nothing.

        Args:
            what: says what is run.

        Raises:
            ConflictError: this is the name of another run.
        """
        if time.monotonic() > self._swept + KEPT_SECONDS:
            self._sweep()
        mark = self._mark(name)
        try:
            lock = hold(mark)
        except FileExistsError:
            if mark.read_bytes() == what:
                return
            raise ConflictError("Another run with this id was started before; take another id.") from None
        mark.write_bytes(what)
        self._tasks[name] = asyncio.create_task(self._run(name, lock, work))

    async def told(self, name: str, seconds: float) -> Whole | None:
        """The answer, for which this waits some seconds; None where the run goes on.

        Raises:
            NotFoundError: there is no such run, or its process has gone.
        """
        mark, until = self._mark(name), time.monotonic() + seconds
        while True:
            runs = is_held(mark)
            with suppress(FileNotFoundError):
                return await asyncio.to_thread(_read, mark)
            if not runs:
                raise NotFoundError("There is no such run, or it was too long ago.")
            os.utime(mark)
            if time.monotonic() > until:
                return None
            await self._look_again(name)

    def _sweep(self) -> None:
        """Remove what processes left that did not come to it, such as those of the last start."""
        self._swept = time.monotonic()
        for mark in self._folder.glob("*.mark"):
            with suppress(FileNotFoundError):  # another process sweeps as well
                if _age(mark) > KEPT_SECONDS and not is_held(mark):
                    _remove(mark)

    async def _look_again(self, name: str) -> None:
        """Wait for the end of a run of this process, or for the time of another look."""
        task = self._tasks.get(name)
        if task is None:
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)

    async def _run(self, name: str, lock: int, work: Work) -> None:
        mark, seconds = self._mark(name), KEPT_SECONDS
        try:
            whole = await _unless_unasked(mark, asyncio.ensure_future(_collected(work)))
            if whole is not None:
                seconds = REFUSED_SECONDS if whole.status in _REFUSALS else KEPT_SECONDS
                await asyncio.to_thread(_write, mark, whole)
        finally:
            os.close(lock)
            self._tasks.pop(name, None)
            asyncio.get_running_loop().call_later(seconds, _remove, mark)

    def _mark(self, name: str) -> Path:
        return self._folder / f"{name}.mark"


async def _unless_unasked(mark: Path, task: "asyncio.Task[Whole]") -> Whole | None:
    """What the task comes to; it is ended where nobody has asked for long."""
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=UNASKED_SECONDS / 6)
            if not task.done() and _age(mark) > UNASKED_SECONDS:
                return None
        return task.result()
    finally:
        task.cancel()


async def _collected(work: Work) -> Whole:
    """The answer that `work` sends."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    try:
        await work(send)
    except Exception:  # an accident of ours must become an answer here too
        _LOG.exception("a run failed")
        return Whole(*error_answer(TileserverError(), hosted=True))
    start, *pieces = messages
    return Whole(start["status"], start["headers"], b"".join(each["body"] for each in pieces))


def _age(mark: Path) -> float:
    """Seconds since somebody asked."""
    return time.time() - mark.stat().st_mtime


def _write(mark: Path, whole: Whole) -> None:
    aside, answer = mark.with_suffix(".new"), mark.with_suffix(".answer")
    aside.touch(0o600)
    aside.write_bytes(msgspec.msgpack.encode(whole))
    aside.rename(answer)


def _read(mark: Path) -> Whole:
    return msgspec.msgpack.decode(mark.with_suffix(".answer").read_bytes(), type=Whole)


def _remove(mark: Path) -> None:
    for suffix in (".answer", ".new", ".mark"):
        mark.with_suffix(suffix).unlink(missing_ok=True)
