"""The server's end of the nursery: started with an explicit environment, asked for workers, heard on their deaths."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tileserver.errors import BusyError
from tileserver.frames import PROTOCOL

_FIXED: Final = {
    # One thread before the fork: these libraries start more on import unless told not to.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # mimalloc would reserve a gigabyte of addresses
    "AWS_EC2_METADATA_DISABLED": "true",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
}
_HELLO_SECONDS: Final = 60


class Birth(msgspec.Struct):
    """What the nursery is told of a worker to come."""

    id: int
    memory: int
    scratch: str


class Born(msgspec.Struct, kw_only=True):
    """What the nursery tells."""

    protocol: int | None = None
    id: int = 0
    pid: int | None = None
    status: int | None = None


class Nursery:
    """One process, and the processes that it forks."""

    def __init__(self, environment: Mapping[str, str], scratch: Path, memory: int) -> None:
        self._environment = {"PATH": os.defpath, **environment, **_FIXED}
        self._scratch, self._memory = scratch, memory
        self._control: socket.socket | None = None
        self._process: asyncio.Future[asyncio.subprocess.Process] | None = None
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._births: dict[int, asyncio.Future[int]] = {}
        self._deaths: dict[int, asyncio.Future[int]] = {}
        self._ids = itertools.count(1)

    @property
    def ready(self) -> bool:
        """Whether it has imported everything and can fork."""
        return self._hello.done() and not self._hello.cancelled() and self._hello.exception() is None

    async def start(self) -> None:
        """Start the process; it imports while we go on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)
        self._process = asyncio.ensure_future(self._exec(theirs))
        await asyncio.shield(self._process)  # whoever gives up now must find it all the same

    async def _exec(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        with theirs:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tileserver.worker",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                cwd=self._scratch,
            )

    async def fork(self, channel: socket.socket, output: int, results: int) -> tuple[int, "asyncio.Future[int]"]:
        """A new worker with these descriptors: its process id, and a future for how it will end.

        Raises:
            BusyError: the nursery does not get ready.
        """
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                await asyncio.shield(self._hello)
        except (TimeoutError, OSError):
            raise BusyError("Functions cannot run at the moment.") from None
        birth = Birth(
            next(self._ids), self._memory, str(self._scratch / f"worker-{os.getpid()}-{id(self)}-{next(self._ids)}")
        )
        loop = asyncio.get_running_loop()
        born = self._births[birth.id] = loop.create_future()
        death = self._deaths[birth.id] = loop.create_future()
        try:
            if self._control is None:
                raise ConnectionError
            socket.send_fds(self._control, [msgspec.msgpack.encode(birth)], [channel.fileno(), output, results])
            return await born, death
        except OSError:
            raise BusyError("Functions cannot run at the moment.") from None

    def _hear(self) -> None:
        assert self._control is not None
        try:
            packet = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self._note(msgspec.msgpack.decode(packet, type=Born))
        else:
            self._lost()

    def _note(self, news: Born) -> None:
        if news.protocol is not None:
            if news.protocol != PROTOCOL:
                self._hello.set_exception(ConnectionError("another version of the worker"))
            elif not self._hello.done():
                self._hello.set_result(None)
        elif news.pid is not None:
            self._births.pop(news.id).set_result(news.pid)
        elif news.status is not None:
            self._deaths.pop(news.id).set_result(news.status)

    def _lost(self) -> None:
        """The process is gone, and with it all its workers."""
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        waiting: list[asyncio.Future[Any]] = [*self._births.values(), *self._deaths.values(), self._hello]
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionError("the nursery ended"))
                future.exception()  # seen, should nobody wait for it
        self._births.clear()
        self._deaths.clear()

    @property
    def lost(self) -> bool:
        """Whether it has ended."""
        return self._control is None

    async def close(self) -> None:
        """End it with all its workers, and wait until they are gone."""
        self._lost()
        if self._process is None:
            return
        process = await self._process
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
