"""The server's end of the nursery: started with an explicit environment, asked for workers, heard on their deaths."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from tileserver import scratch as scratches
from tileserver.execution.deadlines import Deadlines
from tileserver.execution.sandbox import Sandbox, command, outer_pid, readable
from tileserver.frames import PROTOCOL, Birth, Born, Died, End, FromNursery, Limits, Unborn

_FIXED: Final = {
    # One thread before the fork: these libraries start more on import unless told not to.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # mimalloc would reserve a gigabyte of addresses
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
}
_USUAL: Final = {
    "PATH": os.defpath,
    "AWS_EC2_METADATA_DISABLED": "true",  # else each look for credentials waits for a machine that is not there
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_CACHEMAX": "128",  # megabytes; by itself a twentieth of the machine's memory, which is not a worker's
}
"""What the server's own environment may say otherwise."""
_NUMBERS: Final = itertools.count(1)
_DECODER: Final = msgspec.msgpack.Decoder(FromNursery)
_TICK_SECONDS: Final = 0.02
"""After a deadline a job is ended at most so much later, and what it takes to end it."""
_STUCK_SECONDS: Final = 5
"""It may read nothing for so long of what it is told; then it is ended, and its workers with it."""


class BirthFailedError(OSError):
    """There is no process to be had at the moment."""


class Nursery:
    """One process, and the processes that it forks."""

    def __init__(
        self,
        environment: Mapping[str, str],
        scratch: Path,
        sandbox: Sandbox | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        scratch: where it makes its folder, below which each worker gets its own.
        sandbox: where it and its workers are confined.
        lost: called once when the process has gone, and with it all its workers.
        """
        self._environment = {**_USUAL, **environment, **_FIXED}
        self._scratch = scratch / f"nursery-{os.getpid()}-{next(_NUMBERS)}"
        self._sandbox, self._tell_lost = sandbox, lost
        self._read = tuple(readable(sandbox.read)) if sandbox else ()
        self._control: socket.socket | None = None
        self._process: asyncio.Future[asyncio.subprocess.Process] | None = None
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._births: dict[int, asyncio.Future[int]] = {}
        self._deaths: dict[int, asyncio.Future[Died]] = {}
        self._ids = itertools.count(1)
        self._ends: deque[int] = deque()
        """Workers that it has yet to be told to end."""
        self._removal = ThreadPoolExecutor(1, "scratch")
        """One at a time, and not among the threads that read cached tiles."""
        self._stuck: asyncio.TimerHandle | None = None
        self.deadlines = Deadlines(_TICK_SECONDS)
        """Of its workers' jobs."""

    @property
    def ready(self) -> bool:
        """Whether it has imported everything and can fork."""
        return self._hello.done() and not self._hello.cancelled() and self._hello.exception() is None

    async def start(self) -> None:
        """Start the process; it imports while we go on."""
        self._scratch.mkdir(mode=0o700)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)
        self._process = asyncio.ensure_future(self._exec(theirs))
        await asyncio.shield(self._process)  # whoever gives up now must find it all the same

    async def _exec(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        with theirs:
            return await asyncio.create_subprocess_exec(
                *self._command("-m", "tileserver.worker", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                cwd=self._scratch,
            )

    def _command(self, *arguments: str) -> list[str]:
        if self._sandbox is None:
            return [sys.executable, *arguments]
        line = ["-P", *arguments]
        return command(sys.executable, line, scratch=self._scratch, **self._sandbox._asdict())

    async def fork(
        self, descriptors: Sequence[int], limits: Limits, cache: str = ""
    ) -> tuple[int, int, "asyncio.Future[Died]"]:
        """A new worker with channel, output pipes, results, calls and files: its number, process id, and how it ends.

        Args:
            cache: its account's folder; empty where nothing outlives the worker.

        Raises:
            ConnectionError: the nursery has gone, or goes before it answers.
            BirthFailedError: the system gives it no process.
        """
        await asyncio.shield(self._hello)
        if self._control is None:
            raise ConnectionResetError("the nursery ended")
        number = next(self._ids)
        birth = Birth(id=number, scratch=self._folder(number), limits=limits, cache=cache, read=self._read)
        try:
            socket.send_fds(self._control, [msgspec.msgpack.encode(birth)], list(descriptors))
        except BlockingIOError:
            raise BirthFailedError("the nursery is busy") from None
        loop = asyncio.get_running_loop()
        born = self._births[number] = loop.create_future()
        death = self._deaths[number] = loop.create_future()
        return number, await self._seen_from_here(await asyncio.shield(born)), death

    def _folder(self, number: int) -> str:
        """A worker's scratch folder."""
        return str(self._scratch / f"worker-{number}")

    async def _seen_from_here(self, pid: int) -> int:
        """What a process is called outside of the sandbox; 0 when it has ended."""
        if self._sandbox is None or self._process is None:
            return pid
        return outer_pid((await self._process).pid, pid) or 0

    def end(self, number: int) -> None:
        """Kill a worker with everything it started; with the nursery all have gone."""
        if number in self._deaths:
            self._ends.append(number)
            if self._stuck is None:
                self._tell_ends()

    def _tell_ends(self) -> None:
        """Tell it who is to end, as fast as it reads; one that does not read for long is stuck, and ended."""
        if self._control is None:
            return
        loop = asyncio.get_running_loop()
        try:
            while self._ends:
                self._control.send(msgspec.msgpack.encode(End(id=self._ends[0])))
                self._ends.popleft()
        except BlockingIOError:
            self._forget_stuck(self._control)  # it has read something
            self._stuck = loop.call_later(_STUCK_SECONDS, self._kill)
            loop.add_writer(self._control.fileno(), self._tell_ends)
            return
        except OSError:  # it has gone, which is heard in a moment
            self._ends.clear()
        self._forget_stuck(self._control)

    def _forget_stuck(self, control: socket.socket) -> None:
        if self._stuck is not None:
            asyncio.get_running_loop().remove_writer(control.fileno())
            self._stuck.cancel()
            self._stuck = None

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.done() and not process.cancelled():
            with contextlib.suppress(ProcessLookupError):
                process.result().kill()

    def _hear(self) -> None:
        assert self._control is not None
        try:
            packet = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self._note(_DECODER.decode(packet))
        else:
            self._lost()

    def _note(self, news: FromNursery) -> None:
        if isinstance(news, Born):
            _set(self._births.pop(news.id, None), news.pid)
        elif isinstance(news, Unborn):
            _fail(self._births.pop(news.id, None), BirthFailedError(news.reason))
            del self._deaths[news.id]
        elif isinstance(news, Died):
            _set(self._deaths.pop(news.id, None), news)
            self._clear(self._folder(news.id))
        elif news.protocol != PROTOCOL:
            self._kill()
        else:
            _set(self._hello, None)

    def _clear(self, folder: str) -> None:
        """Remove a scratch folder, behind whatever else is to be done where there is something in it."""
        try:
            os.rmdir(folder)  # noqa: PTH106 - mostly it is empty
        except FileNotFoundError:
            return
        except OSError:
            self._removal.submit(scratches.remove_idly, folder)

    def _lost(self) -> None:
        """The process is gone, and with it all its workers; or it never came."""
        control, self._control = self._control, None
        if control is not None:
            self._forget_stuck(control)
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
            self._tell_lost()
        waiting: list[asyncio.Future[Any]] = [*self._births.values(), *self._deaths.values(), self._hello]
        for future in waiting:
            _fail(future, ConnectionError("the nursery ended"))
        self._births.clear()
        self._deaths.clear()

    @property
    def lost(self) -> bool:
        """Whether it has ended."""
        return self._control is None

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            self._kill()
            await process.wait()

    async def close(self) -> None:
        """End it with all its workers, and wait until they are gone with all that they wrote."""
        self._lost()
        if self._process is None:
            return
        with contextlib.suppress(OSError):  # it could not be started
            await self._gone(await self._process)
        self._removal.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(scratches.remove, str(self._scratch))


def _set(future: "asyncio.Future[Any] | None", value: Any) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any] | None", error: OSError) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # seen, should nobody wait for it
