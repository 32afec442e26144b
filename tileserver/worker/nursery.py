"""The nursery: imports the heavy libraries once, runs no user code, and forks workers on demand.

It stays the parent of all workers, watches what they and their children take, ends them, and reports how each ended.
What a dead worker leaves running becomes the nursery's child too, and is killed: no daemon outlives its worker.
"""

import gc
import importlib
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Final

import msgspec

from tileserver import prctl, processes, scratch
from tileserver.frames import PROTOCOL, Birth, Born, Died, FromNursery, Hello, ToNursery, Unborn
from tileserver.worker import system
from tileserver.worker.process import WorkerProcess
from tileserver.worker.program import provide_fused
from tileserver.worker.watch import Watch

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
    "tileserver.worker.fused",
)
_DECODER: Final = msgspec.msgpack.Decoder(ToNursery)
_LOOK_SECONDS: Final = 0.05
"""How often it looks at what workers take: a function can start a thousand threads in this time."""


class Nursery:
    """Runs until the server closes the control socket."""

    def __init__(self, descriptor: int) -> None:
        self.control = socket.socket(fileno=os.dup(descriptor))  # a low number, whichever the server had
        os.close(descriptor)
        self.wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.births: dict[int, Birth] = {}
        """Living workers by process id."""
        self.breaches: dict[int, str] = {}
        self.watch = Watch()
        self._looked = 0.0
        self._of_libraries: frozenset[int] = frozenset()
        """Descriptors that they opened on import, as PROJ its database. In a worker PROJ closes them itself, by number:
        were they closed before, it would close what has that number then."""

    def run(self) -> None:
        """Serve births and ends, report deaths."""
        prctl.adopt_orphans()  # and not killed with the server: it sees that go, and then ends what functions left
        prctl.hide_memory()
        before = system.descriptors()
        for module in _IMPORTS:
            with suppress(ImportError):
                importlib.import_module(module)
        self._of_libraries = system.descriptors() - before
        provide_fused()
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._send(Hello(protocol=PROTOCOL, pid=os.getpid()))
        try:
            while self._turn():
                pass
        finally:
            self._end_all()

    def _turn(self) -> bool:
        control = self.control.fileno()
        ready, _, _ = select.select([control, self.wake], [], [], _LOOK_SECONDS if self.births else None)
        if self.wake in ready:
            with suppress(BlockingIOError):
                os.read(self.wake, 4096)
            self._reap()
        if control in ready and not self._obey():
            return False
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        return True

    def _obey(self) -> bool:
        """Do what the server asks; False when it has gone."""
        try:
            payload, descriptors, _, _ = socket.recv_fds(self.control, 65536, WorkerProcess.DESCRIPTORS)
        except ConnectionResetError:  # what is seen when it had not read all that we told it
            return False
        if not payload:
            return False
        wish = _DECODER.decode(payload)
        if isinstance(wish, Birth):
            self._bear(wish, descriptors)
        else:
            system.end_trees(pid for pid, birth in self.births.items() if birth.id == wish.id)
        return True

    def _bear(self, birth: Birth, descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or no memory: perhaps not for long
            self._send(Unborn(id=birth.id, reason=str(error)))
        else:
            if pid == 0:
                self._become_worker(birth, descriptors)
            self.births[pid] = birth
            self._send(Born(id=birth.id, pid=pid))
        for descriptor in descriptors:
            os.close(descriptor)

    def _become_worker(self, birth: Birth, descriptors: list[int]) -> None:
        """Never returns: whatever happens, the child must not go on as a nursery."""
        try:
            signal.set_wakeup_fd(-1)
            self.control.close()
            os.close(self.wake)
            os.close(self._waker)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            WorkerProcess(descriptors, birth, self._of_libraries).run()
        finally:
            os._exit(70)

    def _look(self) -> None:
        """End who takes more than it may, and who is nobody's child: what a function left that adopts no orphans."""
        self._looked = time.monotonic()
        self._end_strangers()
        for pid, birth in self.births.items():
            breach = pid not in self.breaches and self.watch.breach(pid, birth)
            if breach:
                self.breaches[pid] = breach
                system.end_trees([pid])

    def _reap(self) -> None:
        """Report workers that died, after the end of what they left behind. The server removes their folders."""
        dead: list[Died] = []
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                birth = self.births.pop(pid, None)
                if birth is not None:
                    breach = self.breaches.pop(pid, "")
                    dead.append(Died(id=birth.id, status=os.waitstatus_to_exitcode(status), breach=breach))
                    self.watch.forget(pid)
        self._end_strangers()
        for each in dead:
            self._send(each)

    def _end_strangers(self) -> None:
        system.end_trees(pid for pid in processes.children() if pid not in self.births)

    def _send(self, message: FromNursery) -> None:
        with suppress(OSError):
            self.control.send(msgspec.msgpack.encode(message))

    def _end_all(self) -> None:
        """Kill everything, in rounds: what dies may leave children of its own to us."""
        left = [birth.scratch for birth in self.births.values()]
        self.births.clear()
        while pids := processes.children():
            system.end_trees(pids)
            with suppress(ChildProcessError):
                os.waitpid(-1, 0)
        for folder in left:
            scratch.remove(folder)
