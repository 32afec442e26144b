"""The nursery: imports the heavy libraries once, runs no user code, and forks workers on demand.

It stays the parent of all workers and reports how each ended. What a dead worker leaves running becomes the nursery's
child too, and is killed: no daemon outlives its worker.
"""

import gc
import importlib
import os
import select
import shutil
import signal
import socket
from contextlib import suppress
from typing import Final

import msgspec

from tileserver.frames import PROTOCOL
from tileserver.worker import system
from tileserver.worker.process import WorkerProcess

_IMPORTS: Final = (
    "numpy",
    "shapely",
    "rasterio.warp",
    "rio_tiler.io",
    "rio_tiler.models",
    "rio_tiler.colormap",
    "pandas",
    "geopandas",
    "pyarrow",
    "pyarrow.parquet",
    "mercantile",
    "isal.igzip",
    "PIL.Image",
    "tileserver.encode",
    "tileserver.authoring",
)


class Birth(msgspec.Struct):
    """A request for a worker; with it come its socket, its output pipe and its results file."""

    id: int
    memory: int
    scratch: str


class Nursery:
    """Runs until the server closes the control socket."""

    def __init__(self, descriptor: int) -> None:
        self.control = socket.socket(fileno=descriptor)
        self.workers: dict[int, Birth] = {}

    def run(self) -> None:
        """Serve births and report deaths."""
        system.keep_in_hand()
        os.nice(10)  # and so its workers: the server answers first, also while this imports
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for module in _IMPORTS:
            with suppress(ImportError):
                importlib.import_module(module)
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._send({"protocol": PROTOCOL, "pid": os.getpid()})
        try:
            while self._turn(wake_read):
                pass
        finally:
            self._end()

    def _turn(self, wake: int) -> bool:
        ready, _, _ = select.select([self.control.fileno(), wake], [], [])
        if wake in ready:
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            self._reap()
        if self.control.fileno() in ready:
            payload, descriptors = self._receive()
            if not payload:
                return False
            self._bear(msgspec.msgpack.decode(payload, type=Birth), descriptors)
        return True

    def _receive(self) -> tuple[bytes, list[int]]:
        """Nothing when the server has gone: a reset is what is seen when it had not read all that we told it."""
        try:
            payload, descriptors, _, _ = socket.recv_fds(self.control, 65536, 3)
        except ConnectionResetError:
            return b"", []
        return payload, descriptors

    def _bear(self, birth: Birth, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_worker(birth, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self.workers[pid] = birth
        self._send({"id": birth.id, "pid": pid})

    def _become_worker(self, birth: Birth, descriptors: list[int]) -> None:
        """Never returns: whatever happens, the child must not go on as a nursery."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            WorkerProcess(descriptors, memory=birth.memory, scratch=birth.scratch).run()
        finally:
            os._exit(70)

    def _reap(self) -> None:
        """Report workers that died; end what they left behind."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                birth = self.workers.pop(pid, None)
                if birth is not None:
                    shutil.rmtree(birth.scratch, ignore_errors=True)
                    self._send({"id": birth.id, "status": os.waitstatus_to_exitcode(status)})
        for pid in system.children():
            if pid not in self.workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _send(self, message: dict[str, int]) -> None:
        with suppress(OSError):
            self.control.send(msgspec.msgpack.encode(message))

    def _end(self) -> None:
        """Kill everything, in rounds: what dies may leave children of its own to us."""
        left = [birth.scratch for birth in self.workers.values()]
        self.workers.clear()
        while pids := system.children():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(-1, 0)
        for scratch in left:
            shutil.rmtree(scratch, ignore_errors=True)
